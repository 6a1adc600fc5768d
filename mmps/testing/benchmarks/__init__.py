"""What the benchmarks of ``tools/analysis_tools`` share."""

from .detectors import (
    build_untrained,
    few_boxes,
    other_detector,
    plain_detector,
)
from .machine import describe_machine
from .memory import PeakMemory, own_process, peak_memory, status_mib
from .report import Row, read_report, write_report
from .tables import markdown, print_rows, replace_marked
from .timing import growth_exponent, in_turns, median_ratio, timed

__all__ = [
    'PeakMemory',
    'Row',
    'build_untrained',
    'describe_machine',
    'few_boxes',
    'growth_exponent',
    'in_turns',
    'markdown',
    'median_ratio',
    'other_detector',
    'own_process',
    'peak_memory',
    'plain_detector',
    'print_rows',
    'read_report',
    'replace_marked',
    'status_mib',
    'timed',
    'write_report',
]
