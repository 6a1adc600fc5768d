"""State that the routes share: searcher, gallery, uploads and their gates."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mmps.apis.person_searcher import PersonSearcher
from mmps.gallery import BaseGallery, Frame, GalleryRows

from .errors import ApiError
from .images import decode
from .limits import Gate, WebLimits
from .schemas import FrameInfo, Person
from .uploads import Upload, UploadStore, as_detections

_MAX_ID = 2**63 - 1


class Services:
    """The searcher and the gallery as the API sees them.

    The model works on one picture at a time; pictures are read and decoded
    two at a time, to limit memory. Searches of the gallery do not wait.

    Args:
        searcher: Finds, embeds and searches.
        gallery: What it searches.
        limits: Bounds.
    """

    def __init__(
        self, searcher: PersonSearcher, gallery: BaseGallery, limits: WebLimits
    ) -> None:
        self.searcher = searcher
        self.gallery = gallery
        self.limits = limits
        self.uploads = UploadStore(limits)
        seconds = limits.waiting_seconds
        self._model = Gate(1, limits.model_waiting, seconds)
        self._pixels = Gate(2, limits.pixels_waiting, seconds)
        self._decoding = Gate(2, limits.model_waiting, seconds)

    def add_upload(self, data: bytes) -> tuple[str, Upload]:
        """Find the people of a picture and keep it; returns its id too."""
        image = self.decoded(data)
        found = self._on_model(self.searcher.detect, [image])[0]
        height, width = image.shape[:2]
        people = as_detections(found, width, height)
        upload = Upload(data, width, height, people)
        return self.uploads.add(upload), upload

    def decoded(self, data: bytes) -> np.ndarray:
        """Pixels of an upload."""
        with self._decoding.entered():
            return decode(data, self.limits.upload_pixels)

    def embed(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """(1, D) embedding of one box."""
        return self._on_model(self.searcher.embed, image, box[None])

    def frame(self, frame_id: str) -> Frame:
        """A frame of the gallery by a client's id."""
        try:
            return self.gallery.frame(known_id(frame_id))
        except KeyError:
            raise ApiError(404, 'no such frame', 'frame') from None

    def person(
        self, person_id: str, embeddings: bool = False
    ) -> tuple[GalleryRows, Frame]:
        """A row of the gallery by a client's id, and its frame."""
        try:
            rows, frames = self.gallery.get([known_id(person_id)], embeddings)
        except KeyError:
            raise ApiError(404, 'no such person', 'person') from None
        return rows, frames[rows.frames[0]]

    def people_in(self, frame: Frame, embeddings: bool = False) -> GalleryRows:
        """People of a frame, which may be gone by now."""
        try:
            return self.gallery.people_in(frame.name, embeddings)
        except KeyError:
            raise ApiError(404, 'no such frame', 'frame') from None

    def pixels(self, frame: Frame) -> np.ndarray:
        """Pixels of a frame of the gallery."""
        with self._pixels.entered():
            try:
                return self.searcher.frame_image(frame)
            except OSError:  # its message names the file
                raise ApiError(
                    404, 'the picture of this frame is not available'
                ) from None

    def _on_model(self, work: Callable[..., Any], *args: Any) -> Any:
        with self._model.entered():
            return work(*args)


def known_id(text: str) -> int:
    """A checked id as a number, KeyError where no row can have it."""
    number = int(text)
    if number > _MAX_ID:
        raise KeyError(text)
    return number


def frame_info(frame: Frame) -> FrameInfo:
    """A frame as clients see it: nothing of where it lies."""
    name = frame.name.replace('\\', '/').rstrip('/').rpartition('/')[2]
    return FrameInfo(
        id=str(frame.id),
        name=name,
        camera=frame.camera,
        time=None if np.isnan(frame.time) else frame.time,
        width=frame.width,
        height=frame.height,
    )


def people_info(rows: GalleryRows) -> list[Person]:
    """Rows as clients see them."""
    return [
        Person(
            id=str(int(row_id)),
            bbox=bbox.tolist(),
            score=float(score),
            track=None if track < 0 else int(track),
        )
        for row_id, bbox, score, track in zip(
            rows.ids, rows.bboxes, rows.scores, rows.tracks
        )
    ]
