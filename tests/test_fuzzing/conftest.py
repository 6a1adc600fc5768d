"""Damage without a reader."""

from collections.abc import Callable

import pytest
from hypothesis import given, seed, settings

from fuzzing import CASES, damaged
from fuzzing.damage import Changes, Files


@pytest.fixture(scope='session')
def draw_damage() -> Callable[[Files, int], list[Changes]]:
    """Draws a number of cases, the same every time."""

    def draw(files: Files, num: int) -> list[Changes]:
        found: list[Changes] = []

        @seed(5)
        @settings(max_examples=num, database=None, deadline=None)
        @given(CASES)
        def collect(case: bytes) -> None:
            found.append(damaged(files, case))

        collect()
        return found

    return draw
