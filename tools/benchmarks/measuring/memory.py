"""Peak memory of work on a CPU (Linux) or a CUDA device."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

MIB = 2**20
_STATUS = Path('/proc/self/status')


def status_mib(field: str) -> float:
    """MiB of a field of this process's status, NaN where there is none.

    Args:
        field: ``VmRSS``, ``VmHWM`` (the peak) or ``RssAnon`` (without
            mapped files).
    """
    if not _STATUS.is_file():
        return float('nan')
    found = re.search(rf'^{field}:\s+(\d+) kB', _STATUS.read_text(), re.M)
    return int(found[1]) / 1024 if found else float('nan')


def peak_memory(work: Callable[[], object], device: str = 'cpu') -> float:
    """Peak memory in MiB that some work adds.

    On a CPU it is right only if nothing large was freed before: use
    :func:`own_process`.

    Args:
        work: To be called once.
        device: 'cpu' or 'cuda'. Defaults to 'cpu'.

    Returns:
        NaN where the system does not tell.
    """
    if device != 'cpu':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    try:
        # Forget the peak so far, that of the parent process included.
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:
        work()
        return float('nan')
    before = status_mib('VmRSS')
    work()
    return status_mib('VmHWM') - before


def own_process(script: str, *words: object) -> float:
    """Run a script in a fresh process, for a clean figure of memory.

    Args:
        script: Path of a Python file.
        *words: Its arguments.

    Returns:
        The number that it prints last.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    done = subprocess.run(
        [sys.executable, script, *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


class PeakMemory:
    """Peak of the process's own memory, without mapped files."""

    def __enter__(self) -> 'PeakMemory':
        self.start = self.peak = status_mib('RssAnon')
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def added(self) -> float:
        """MiB above those at the start."""
        return self.peak - self.start

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, status_mib('RssAnon'))
