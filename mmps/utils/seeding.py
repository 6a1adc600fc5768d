"""Random numbers that depend on a seed and a place, not on what ran before.

A run that is interrupted and resumed draws what it would have drawn, without
a generator's state in the checkpoint, whatever the number of workers.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


class SeededIndex(int):
    """A sample's index that carries the seed of its augmentation.

    Args:
        value: The index.
        seed: Integers, not negative.
    """

    seed: tuple[int, ...]

    def __new__(cls, value: int, seed: tuple[int, ...]) -> 'SeededIndex':
        """Make the integer."""
        index = super().__new__(cls, value)
        index.seed = seed
        return index

    def __reduce__(self) -> tuple:
        """Keep the seed on the way to a worker."""
        return SeededIndex, (int(self), self.seed)

    # mmengine's ConcatDataset and RepeatDataset count an index down so.
    def __sub__(self, other: int) -> 'SeededIndex':
        """Count down; the seed stays."""
        return SeededIndex(int(self) - other, self.seed)

    def __mod__(self, other: int) -> 'SeededIndex':
        """Wrap around; the seed stays."""
        return SeededIndex(int(self) % other, self.seed)


def seed_generators(*entropy: int) -> None:
    """Seed Python's, numpy's and torch's generators, on all devices.

    Args:
        *entropy: Integers, not negative, such as the run's seed and a step;
            other integers give unrelated random numbers.
    """
    words = _words(entropy)
    random.seed(words[0])
    np.random.seed(words[1])
    torch.manual_seed(words[2])


@contextmanager
def drawing_from(index: int) -> Iterator[None]:
    """Draw from the seed of an index; restore the generators afterwards.

    Args:
        index: A :class:`SeededIndex`; a plain integer changes nothing.
    """
    if not isinstance(index, SeededIndex):
        yield
        return
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = _words(index.seed)
    random.seed(words[0])
    np.random.seed(words[1])
    torch.default_generator.manual_seed(words[2])
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _words(entropy: tuple[int, ...]) -> list[int]:
    return np.random.SeedSequence(entropy).generate_state(3).tolist()
