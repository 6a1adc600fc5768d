"""Helpers that the benchmarks of this folder share."""

from .detectors import (
    CONFIGS,
    METHODS,
    NUM_IDS,
    build_untrained,
    few_boxes,
    method_configs,
    other_detector,
    plain_detector,
)
from .machine import describe_machine
from .memory import PeakMemory, own_process, peak_memory, status_mib
from .oim_loop import oim_batch, oim_step
from .options import (
    add_device_arg,
    add_out_arg,
    detector_parser,
    prediction_parser,
)
from .rows import Row, read_report, write_report
from .tables import markdown, print_rows, replace_marked
from .timing import (
    growth_exponent,
    in_turns,
    median_ratio,
    stopwatch,
    timed,
)

__all__ = [
    'CONFIGS',
    'METHODS',
    'NUM_IDS',
    'PeakMemory',
    'Row',
    'add_device_arg',
    'add_out_arg',
    'build_untrained',
    'describe_machine',
    'detector_parser',
    'few_boxes',
    'growth_exponent',
    'in_turns',
    'markdown',
    'median_ratio',
    'method_configs',
    'other_detector',
    'oim_batch',
    'oim_step',
    'own_process',
    'peak_memory',
    'plain_detector',
    'prediction_parser',
    'print_rows',
    'read_report',
    'replace_marked',
    'status_mib',
    'stopwatch',
    'timed',
    'write_report',
]
