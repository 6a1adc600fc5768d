"""Choices as plain data, so that a case can be stored, and shrunk."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar('T')


class Tape:
    """Reads choices from bytes; where they end, the first of all choices.

    The smaller the bytes, the simpler is what they choose: so hypothesis,
    which lowers them, makes cases simpler. Were each choice drawn by a
    strategy of its own, most of hypothesis' cases would be variants of the
    one before, and as many cases would show fewer sorts of damage.

    Args:
        data: Two bytes for each choice.
    """

    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, size: int) -> bytes:
        """Some bytes as they are."""
        found, self._left = self._left[:size], self._left[size:]
        return found.ljust(size, b'\0')

    def below(self, end: int) -> int:
        """A number from 0 to ``end`` - 1; end is at most 65,536."""
        return int.from_bytes(self.read(2), 'big') % end

    def choice(self, options: Sequence[T]) -> T:
        """One of several."""
        return options[self.below(len(options))]
