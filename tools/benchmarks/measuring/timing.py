"""Times of calls on noisy machines."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Result = TypeVar('Result')


def stopwatch(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of a call, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def timed(work: Callable[[], object], repeat: int = 5) -> float:
    """Median seconds of a call.

    Args:
        work: To be called.
        repeat: How often. Defaults to 5.
    """
    return statistics.median(stopwatch(work)[0] for _ in range(repeat))


def in_turns(
    steps: Sequence[Callable[[], float]], rounds: int, warm_up: int = 0
) -> list[list[float]]:
    """Measure several things turn by turn: noise then hits all of them.

    Args:
        steps: Each does its work and returns the seconds that count.
        rounds: Turns of each.
        warm_up: Turns before these, which do not count. Defaults to 0.

    Returns:
        Seconds of every round, per step.
    """
    for _ in range(warm_up):
        for step in steps:
            step()
    turns = [[step() for step in steps] for _ in range(rounds)]
    return [list(column) for column in zip(*turns)]


def median_ratio(ours: Sequence[float], beside: Sequence[float]) -> float:
    """Median of the ratios of seconds that were taken in turns."""
    return statistics.median(a / b for a, b in zip(ours, beside, strict=True))


def growth_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent p of ``seconds ~ size ** p``, a line through the logarithms.

    Args:
        sizes: Two or more, not all the same.
        seconds: Of each size.

    Raises:
        ValueError: There are fewer than two sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError(f'growth: expected two or more sizes, got {sizes}')
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
