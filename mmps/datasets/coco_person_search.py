"""People's own data: COCO JSON with person ids, and a query file."""

import json
import os
from typing import Any

import numpy as np

from mmps.registry import DATASETS
from mmps.structures import UNLABELLED

from .coco_queries import read_queries
from .errors import FaultList
from .frame_table import FrameTable, offsets
from .person_search_dataset import PersonSearchDataset

_NO_ID = object()


@DATASETS.register_module()
class CocoPersonSearchDataset(PersonSearchDataset):
    """COCO JSON with ``person_id``, and a query file for the test split.

    Annotation file::

        {"images": [{"id": 1, "file_name": "a.jpg",
                     "width": 1920, "height": 1080,       # optional
                     "camera_id": 3, "timestamp": 12.5}], # optional
         "annotations": [{"image_id": 1, "bbox": [x, y, w, h],
                          "person_id": 17}],              # optional
         "categories": [{"id": 1, "name": "person"}]}     # optional

    A person_id that is absent, null or negative is an unlabelled person.
    If a category is called "person", annotations of other categories are
    left out; so are those with ``iscrowd`` 1. camera_id is an integer >= 0,
    timestamp a number of seconds.

    Query file: a list of queries, or a dict with such a list and explicit
    galleries. A query names its image by image_id or file_name::

        {"queries": [{"image_id": 1, "bbox": [x, y, w, h],
                      "person_id": 17}],
         "galleries": {"100": {"splits": [0, 100], "image_ids": [...],
                               "rows": [0], "bboxes": [[x, y, w, h]],
                               "queries": [0],            # optional
                               "rest_of_frames": false}}} # optional

    Entries ``splits[i]`` to ``splits[i + 1]`` of ``image_ids`` are the
    gallery of query i (of ``queries[i]``, if given); ``bboxes`` are the
    person's boxes in the entries numbered ``rows``, in the other entries
    the person is not. Without galleries, a query's gallery is every test
    frame but its own, and its positives are the boxes with its id.

    Args:
        ann_file: The annotation file, relative to ``data_root``.
        query_file: The query file, relative to ``data_root``. Defaults to
            '', a test split without queries: detection only.
        data_root: Defaults to ''.
        data_prefix: Defaults to None, which is ``dict(img_path='')``.
        **kwargs: See :class:`PersonSearchDataset`.
    """

    METAINFO = dict(PersonSearchDataset.METAINFO, dataset_type='COCO')
    LAYOUT = 'the folder that ann_file and the images are relative to'

    def __init__(
        self,
        ann_file: str,
        query_file: str = '',
        data_root: str = '',
        **kwargs,
    ) -> None:
        self.query_file = query_file
        super().__init__(
            data_root=data_root or '.', ann_file=ann_file, **kwargs
        )

    def read_frames(self, faults: FaultList) -> FrameTable | None:
        """Read images, people and, for the test split, queries."""
        content = read_json(self.ann_file, faults)
        if content is None:
            return None
        images = _records(content, 'images', self.ann_file, faults)
        people = _records(content, 'annotations', self.ann_file, faults)
        if images is None or people is None:
            return None
        table, index = _read_images(images, self.ann_file, faults)
        if table is None:
            return None
        categories = content.get('categories') or []
        _read_people(people, categories, table, index, self.ann_file, faults)
        if self.split == 'test' and self.query_file:
            path = os.path.join(self.data_root, self.query_file)
            queries = read_json(path, faults)
            if queries is not None:
                read_queries(queries, path, table, index, faults)
        return table


def read_json(path: str, faults: FaultList) -> Any:
    """Content of a JSON file, None after recording a fault."""
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except FileNotFoundError:
        faults.add(path, 'no such file', 'a JSON file')
    except (ValueError, OSError) as error:
        faults.add(path, f'cannot be read ({error})', 'a JSON file')
    return None


def _records(
    content: Any, key: str, path: str, faults: FaultList
) -> list[dict] | None:
    records = content.get(key) if isinstance(content, dict) else None
    if isinstance(records, list) and all(
        isinstance(record, dict) for record in records
    ):
        return records
    faults.add(path, f'has no list of objects {key!r}', 'COCO JSON')
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_images(
    images: list[dict], path: str, faults: FaultList
) -> tuple[FrameTable | None, dict]:
    """Frames without people, and the place of each image id."""
    num_before = len(faults)
    names, cameras, times, sizes = [], [], [], []
    index: dict[Any, int] = {}
    for i, image in enumerate(images):
        where = f'{path}, images[{i}]'
        name, key = image.get('file_name'), image.get('id')
        if not isinstance(name, str) or not isinstance(key, (int, str)):
            faults.add(
                where,
                f'id is {key!r} and file_name {name!r}',
                'an integer or string id, and a file name',
            )
            continue
        if index.setdefault(key, i) != i:
            faults.add(where, f'image id {key!r} occurs twice', 'unique ids')
        camera, time = image.get('camera_id', -1), image.get('timestamp')
        if not _is_int(camera) or camera < -1:
            faults.add(where, f'camera_id is {camera!r}', 'an integer >= 0')
            camera = -1
        if time is not None and not _is_number(time):
            faults.add(where, f'timestamp is {time!r}', 'seconds, a number')
            time = None
        size = image.get('height'), image.get('width')
        if any(v is not None and not (_is_int(v) and v > 0) for v in size):
            faults.add(where, f'height, width are {size}', 'integers > 0')
        names.append(name)
        cameras.append(camera)
        times.append(np.nan if time is None else time)
        sizes.append(size)
    if len(faults) > num_before:
        return None, {}
    times = np.array(times, dtype=np.float64)
    whole = all(None not in size for size in sizes)
    return (
        FrameTable(
            frame_names=names,
            camera_ids=np.array(cameras, dtype=np.int64),
            splits=offsets([0] * len(names)),
            bboxes=np.zeros((0, 4)),
            raw_ids=np.zeros(0, np.int64),
            box_source=[path] * len(names),
            sizes=np.array(sizes).reshape(-1, 2) if whole else None,
            timestamps=None if np.isnan(times).all() else times,
        ),
        index,
    )


def _read_people(
    people: list[dict],
    categories: list[dict],
    table: FrameTable,
    index: dict,
    path: str,
    faults: FaultList,
) -> None:
    """Fill in boxes and ids, frame after frame."""
    known = {c.get('id'): c.get('name') for c in categories}
    only_person = 'person' in known.values()
    frames, boxes, ids = [], [], []
    for i, person in enumerate(people):
        where = f'{path}, annotations[{i}]'
        category = person.get('category_id')
        if known and category not in known:
            faults.add(
                where, f'category_id is {category!r}', 'one of categories'
            )
            continue
        if person.get('iscrowd') or (
            only_person and known[category] != 'person'
        ):
            continue
        place = index.get(person.get('image_id', _NO_ID))
        if place is None:
            faults.add(
                where,
                f'image_id is {person.get("image_id")!r}',
                'the id of one of images',
            )
            continue
        box = read_bbox(person.get('bbox'), where, faults)
        raw_id = person.get('person_id')
        raw_id = UNLABELLED if raw_id is None else raw_id
        if not _is_int(raw_id):
            faults.add(where, f'person_id is {raw_id!r}', 'an integer')
            continue
        if box is None:
            continue
        frames.append(place)
        boxes.append(box)
        ids.append(max(raw_id, UNLABELLED))
    owners = np.array(frames, dtype=np.int64)
    order = np.argsort(owners, kind='stable')
    xywh = np.array(boxes, dtype=np.float64).reshape(-1, 4)[order]
    table.bboxes = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    table.raw_ids = np.array(ids, dtype=np.int64)[order]
    counts = np.bincount(owners, minlength=len(table.frame_names))
    table.splits = offsets(counts)


def read_bbox(box: Any, where: str, faults: FaultList) -> list[float] | None:
    """Check one [x, y, w, h]; None after recording a fault."""
    if (
        isinstance(box, list)
        and len(box) == 4
        and all(_is_number(value) for value in box)
    ):
        return box
    faults.add(where, f'bbox is {box!r}', '[x, y, w, h], four numbers')
    return None
