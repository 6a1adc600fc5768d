"""Description of the machine that figures were measured on."""

import datetime
import os
import platform
import re
from pathlib import Path

import torch

from mmps.results.versions import stack_versions


def describe_machine() -> dict[str, str | int]:
    """Describe processor, memory, GPU, versions and threads.

    Returns:
        Plain values; what the system does not tell is left out.
    """
    found: dict[str, str | int] = dict(
        date=datetime.date.today().isoformat(),
        system=platform.platform(terse=True),
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
    )
    memory = _field('/proc/meminfo', r'^MemTotal:\s+(\d+) kB')
    if memory:
        found['memory'] = f'{int(memory) / 2**20:.0f} GiB'
    if torch.cuda.is_available():
        found['gpu'] = torch.cuda.get_device_name()
    return {**found, **stack_versions()}


def _cpu() -> str:
    name = _field('/proc/cpuinfo', r'^model name\s*:\s*(.+)$')
    return f'{name or platform.machine()} ({_instructions()})'


def _instructions() -> str:
    return torch.backends.cpu.get_cpu_capability()


def _field(file: str, pattern: str) -> str | None:
    path = Path(file)
    if not path.is_file():
        return None
    match = re.search(pattern, path.read_text(), re.M)
    return match[1] if match else None
