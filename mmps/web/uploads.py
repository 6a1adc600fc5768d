"""Uploaded pictures: read with limits, kept in memory for a limited time.

Starlette puts a form's file of more than 1 MiB into a temporary file while it
arrives.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fastapi import Request
from starlette.datastructures import UploadFile

from mmps.apis.person_searcher import Detections

from .errors import ApiError
from .limits import WebLimits


@dataclass(frozen=True)
class Upload:
    """A picture and the people in it.

    Args:
        data: As it was sent; decoded pixels would take ten times as much.
        width: In pixels, after EXIF orientation.
        height: In pixels.
        people: Found in it.
    """

    data: bytes
    width: int
    height: int
    people: Detections

    @property
    def num_bytes(self) -> int:
        """Memory it takes."""
        people = self.people
        arrays = people.bboxes, people.scores, people.embeddings
        return len(self.data) + sum(array.nbytes for array in arrays)


class UploadStore:
    """Keeps the latest pictures, bounded in number, bytes and time.

    One whose time is over is never given away again; its memory is free with
    the next :meth:`add` or :meth:`get`.

    Args:
        limits: The bounds.
        clock: Seconds. Defaults to the monotonic clock.
    """

    def __init__(
        self, limits: WebLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Upload]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, upload: Upload) -> str:
        """Keep a picture; returns its id, which nobody can guess."""
        key = secrets.token_urlsafe(16)
        end = self._clock() + self._limits.stored_seconds
        with self._lock:
            self._kept[key] = end, upload
            self._bytes += upload.num_bytes
            self._drop()
        return key

    def get(self, key: str) -> Upload:
        """A picture.

        Raises:
            ApiError: There is none, or it was dropped.
        """
        with self._lock:
            self._drop()
            if key not in self._kept:
                raise ApiError(
                    404,
                    'no such upload; it may have been dropped, send the '
                    'picture again',
                    'upload',
                )
            return self._kept[key][1]

    def _drop(self) -> None:
        limits, now = self._limits, self._clock()
        while self._kept:
            end, oldest = next(iter(self._kept.values()))
            many = len(self._kept) > limits.uploads
            if not (many or self._bytes > limits.stored_bytes or end <= now):
                break
            self._kept.popitem(last=False)
            self._bytes -= oldest.num_bytes


async def receive_picture(request: Request, max_bytes: int) -> bytes:
    """Read a picture from a body: the bytes alone, or a form's only file.

    Args:
        request: Its body is not read yet.
        max_bytes: Largest picture; more is not read.

    Raises:
        ApiError: It is too large, or the form has no file.
    """
    kind = request.headers.get('content-type', '')
    if kind.partition(';')[0].strip().lower() == 'multipart/form-data':
        async with request.form(max_files=1, max_fields=4) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    data = await value.read(max_bytes + 1)
                    return _bounded(data, max_bytes)
        raise ApiError(422, 'expected a form with a file', 'file')
    data = bytearray()
    async for piece in request.stream():
        data += piece
        _bounded(data, max_bytes)
    return bytes(data)


def as_detections(found: Detections, width: int, height: int) -> Detections:
    """Detections as they are kept: boxes cut at the picture's edges."""
    bounds = np.array([width, height, width, height], np.float32)
    return Detections(
        np.clip(np.asarray(found.bboxes, np.float32), 0, bounds),
        np.asarray(found.scores, np.float32),
        np.asarray(found.embeddings, np.float32),
    )


def _bounded(data: bytes, max_bytes: int) -> bytes:
    if len(data) > max_bytes:
        raise ApiError(
            413, f'the picture is larger than {max_bytes} bytes', 'file'
        )
    return data
