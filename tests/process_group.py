"""Groups of processes that talk through gloo, for tests."""

import faulthandler
import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Forked from a process that has imported everything and run nothing: a copy
# of pytest's process would hold locks of threads that it does not have.
WARM = multiprocessing.get_context('forkserver')
WARM.set_forkserver_preload(
    ['mmdet.models', 'mmps.models', 'mmps.datasets', 'mmps.engine']
)


def start_program(
    argv: list[str], env: Mapping[str, str], folder: Path, log: Path
) -> multiprocessing.Process:
    """Start a Python program that need not import the frameworks first.

    Args:
        argv: Its file and its arguments.
        env: Its environment.
        folder: Where it runs.
        log: Its standard output and, ending in ``.err``, standard error.

    Returns:
        The process.
    """
    process = WARM.Process(target=_program, args=(argv, env, folder, log))
    process.start()
    return process


def _program(
    argv: list[str], env: Mapping[str, str], folder: Path, log: Path
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, file in ((1, log), (2, log.with_suffix('.err'))):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.path[:0] = env.get('PYTHONPATH', '').split(os.pathsep)
    sys.argv = argv
    runpy.run_path(argv[0], run_name='__main__')


def run_group(
    world_size: int,
    function: Callable[..., None],
    folder: Path,
    *args: Any,
    seconds: float = 240,
) -> None:
    """Call a function in every process of a group, and wait for the end.

    Args:
        world_size: Number of processes; a single one has no group.
        function: Of a module; called with its rank, ``world_size``,
            ``folder`` and ``args``.
        folder: Where the processes meet.
        *args: More, to be pickled.
        seconds: After them, a process that has not ended is killed and the
            stacks of its threads are in the message of the error.
    """
    processes = [
        WARM.Process(
            target=_member,
            args=(rank, world_size, function, folder, args, seconds),
        )
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    end = time.monotonic() + seconds + 5
    for process in processes:
        process.join(max(end - time.monotonic(), 0))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    stacks = [
        _stacks(folder, world_size, rank).read_text()
        for rank, code in enumerate(codes)
        if code is None
    ]
    assert codes == [0] * world_size, '\n'.join([f'{codes}', *stacks])


def _stacks(folder: Path, world_size: int, rank: int) -> Path:
    return folder / f'stacks{world_size}-{rank}.txt'


def _member(
    rank: int,
    world_size: int,
    function: Callable[..., None],
    folder: Path,
    args: tuple,
    seconds: float,
) -> None:
    import torch

    from mmps.engine.launch import close_processes

    # Threads that wait for others spin; those of several processes would
    # take the cores from each other.
    torch.set_num_threads(1)
    with _stacks(folder, world_size, rank).open('w') as file:
        faulthandler.dump_traceback_later(seconds, file=file)
        if world_size > 1:
            torch.distributed.init_process_group(
                'gloo',
                init_method=f'file://{folder}/store{world_size}',
                rank=rank,
                world_size=world_size,
            )
        function(rank, world_size, folder, *args)
        close_processes()
        faulthandler.cancel_dump_traceback_later()
