"""Limits on what the server accepts and keeps, and on concurrent work."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import ApiError

# Limits that are in the OpenAPI description.
MAX_K = 1000
MAX_QUERIES = 16
MAX_SIDE = 8192


@dataclass(frozen=True)
class WebLimits:
    """Bounds of the server.

    Args:
        upload_bytes: Largest picture that is taken, as it is sent.
        upload_pixels: The same, decoded.
        uploads: Pictures kept; the oldest goes first.
        stored_bytes: All pictures kept, as they were sent.
        stored_seconds: Time for which one can be used.
        json_bytes: Largest body of other requests.
        body_seconds: Time in which a body has to arrive.
        model_waiting: Requests that may wait for the model.
        pixels_waiting: Requests that may wait for a picture.
        waiting_seconds: Time for which they wait.
        connections: Open at a time.
    """

    upload_bytes: int = 20 * 2**20
    upload_pixels: int = 50_000_000
    uploads: int = 64
    stored_bytes: int = 256 * 2**20
    stored_seconds: float = 3600
    json_bytes: int = 2**20
    body_seconds: float = 60
    model_waiting: int = 8
    pixels_waiting: int = 12
    waiting_seconds: float = 30
    connections: int = 64


class Gate:
    """Lets a few threads through at a time, a few more wait.

    Waiting requests hold threads of the server's pool (40), so all gates
    together must leave some of them to searches.

    Args:
        width: Threads inside.
        waiting: Threads that may wait; others are refused at once.
        seconds: Time for which they wait.
    """

    def __init__(self, width: int, waiting: int, seconds: float) -> None:
        self._places = threading.BoundedSemaphore(width + waiting)
        self._inside = threading.BoundedSemaphore(width)
        self._seconds = seconds

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hold a place inside.

        Raises:
            ApiError: Too many wait, or it took too long.
        """
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            if not self._inside.acquire(timeout=self._seconds):
                raise _busy()
            try:
                yield
            finally:
                self._inside.release()
        finally:
            self._places.release()


def _busy() -> ApiError:
    return ApiError(
        503, 'busy, try again in a moment', headers={'Retry-After': '1'}
    )
