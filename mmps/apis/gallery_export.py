"""Exports of a gallery for people and for other programs."""

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mmps.datasets.errors import BadImageError
from mmps.gallery import BaseGallery, Frame
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole
from mmps.visualization import crop_person, draw_contact_sheet

from .frame_sources import read_frame

CSV_FIELDS = (
    'id', 'frame', 'source', 'index', 'camera', 'time', 'x1', 'y1', 'x2',
    'y2', 'score', 'track',
)  # fmt: skip
PICTURES = ('.jpg', '.jpeg', '.png')


def export_gallery(
    gallery: BaseGallery, path: str | os.PathLike, limit: int = 200
) -> int:
    """Write a gallery's people; the file's ending says in which form.

    Args:
        gallery: The gallery.
        path: ``.csv``; ``.json`` for COCO, with ``score``, ``track_id`` and
            ``gallery_id`` per person and ``camera`` and ``timestamp`` per
            image; ``.jpg`` or ``.png`` for a contact sheet.
        limit: People on a contact sheet, spread evenly over all. Defaults
            to 200.

    Returns:
        Number of people written.

    Raises:
        UsageError: Another ending.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind == '.csv':
        num, data = _csv(gallery)
    elif kind == '.json':
        num, data = _coco(gallery)
    elif kind in PICTURES:
        num, data = _contact_sheet(gallery, limit, kind)
    else:
        raise UsageError(
            f'{path}: expected a name that ends in .csv, .json, .jpg or .png'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
    return num


def _people(
    gallery: BaseGallery,
) -> Iterator[tuple[int, Frame, list[float], float, int]]:
    """Id, frame, box, score and track of everyone."""
    for rows, frames in gallery.scan(embeddings=False):
        yield from zip(
            rows.ids.tolist(),
            (frames[i] for i in rows.frames),
            rows.bboxes.tolist(),
            rows.scores.tolist(),
            rows.tracks.tolist(),
        )


def _csv(gallery: BaseGallery) -> tuple[int, bytes]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_FIELDS)
    num = 0
    for row, frame, box, score, track in _people(gallery):
        num += 1
        writer.writerow(
            [
                row,
                frame.name,
                frame.source,
                frame.index,
                frame.camera,
                '' if math.isnan(frame.time) else f'{frame.time:.3f}',
                *(f'{value:.2f}' for value in box),
                f'{score:.4f}',
                track,
            ]
        )
    return num, out.getvalue().encode()


def _coco(gallery: BaseGallery) -> tuple[int, bytes]:
    images, numbers = [], {}
    step = 1000
    offset = 0
    while page := gallery.list_frames(offset, step):
        offset += len(page)
        for frame in page:
            if frame.name not in numbers:
                numbers[frame.name] = len(images)
                images.append(_coco_image(frame, len(images)))
    annotations = []
    for row, frame, (x1, y1, x2, y2), score, track in _people(gallery):
        if frame.name not in numbers:  # added meanwhile
            numbers[frame.name] = len(images)
            images.append(_coco_image(frame, len(images)))
        width, height = x2 - x1, y2 - y1
        annotations.append(
            dict(
                id=len(annotations),
                image_id=numbers[frame.name],
                category_id=1,
                bbox=[x1, y1, width, height],
                area=width * height,
                iscrowd=0,
                score=score,
                track_id=track,
                person_id=-1,
                gallery_id=str(row),
            )
        )
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )
    return len(annotations), json.dumps(content).encode()


def _coco_image(frame: Frame, number: int) -> dict:
    image = dict(
        id=number,
        file_name=frame.source or frame.name,
        width=frame.width,
        height=frame.height,
        camera=frame.camera,
    )
    if frame.index >= 0:
        image['video_frame'] = frame.index
    if not math.isnan(frame.time):
        image['timestamp'] = frame.time
    return image


def _contact_sheet(
    gallery: BaseGallery, limit: int, kind: str
) -> tuple[int, bytes]:
    total = gallery.count()
    if not total:
        raise UsageError(f'{gallery.uri}: nobody to draw')
    chosen = set(
        np.linspace(0, total - 1, min(limit, total)).round().astype(int)
    )
    people, image, last = [], None, None
    for i, (_, frame, box, score, _) in enumerate(_people(gallery)):
        if i not in chosen:
            continue
        if frame.name != last:
            last = frame.name
            try:
                image = read_frame(frame, gallery.root)
            except BadImageError:  # it has gone since
                image = None
        crop = np.full((22, 10, 3), 128, np.uint8)
        if image is not None:
            crop = crop_person(image, np.array(box))[..., ::-1]
        where = f'camera {frame.camera} ' if frame.camera else ''
        people.append((_thumbnail(crop), f'{where}{score:.2f}'))
    out = io.BytesIO()
    draw_contact_sheet(people).savefig(out, format=kind[1:])
    return len(people), out.getvalue()


def _thumbnail(crop: np.ndarray, height: int = 220) -> np.ndarray:
    if crop.shape[0] <= height:
        return crop
    width = max(round(crop.shape[1] * height / crop.shape[0]), 1)
    return cv2.resize(
        np.ascontiguousarray(crop),
        (width, height),
        interpolation=cv2.INTER_AREA,
    )
