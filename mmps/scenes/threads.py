"""OpenCV's own threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ['one_thread']


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread inside, and restore its number after.

    Parts of people are so small that handing them to threads costs many
    times the work itself on a busy machine.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
