"""People's own data: COCO JSON with person ids, and a query file."""

import os
from typing import Any

import numpy as np

from mmps.registry import DATASETS
from mmps.structures import UNLABELLED, splits_from_counts

from .coco_queries import read_queries
from .errors import FaultList
from .frame_table import MAX_SIDE, FrameTable, to_xyxy
from .json_files import is_id, is_key, is_number, read_bbox, read_json
from .person_search_dataset import PersonSearchDataset

_FLAGS = (None, 0, 1)  # True and False are equal to these


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
        names = _read_categories(content, self.ann_file, faults)
        _read_people(people, names, table, index, self.ann_file, faults)
        if self.split == 'test' and self.query_file:
            path = os.path.join(self.data_root, self.query_file)
            queries = read_json(path, faults)
            if queries is not None:
                read_queries(queries, path, table, index, faults)
        return table


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
        if not isinstance(name, str) or not is_key(key):
            faults.add(
                where,
                f'id is {key!r:.60} and file_name {name!r:.60}',
                'an integer or string id, and a file name',
            )
            continue
        if index.setdefault(key, i) != i:
            faults.add(where, f'image id {key!r} occurs twice', 'unique ids')
        camera, time = image.get('camera_id', -1), image.get('timestamp')
        if not is_id(camera) or not -1 <= camera <= MAX_SIDE:
            text = f'camera_id is {camera!r:.60}'
            faults.add(where, text, f'an integer >= 0, up to {MAX_SIDE}')
            camera = -1
        if time is not None and not is_number(time):
            faults.add(
                where, f'timestamp is {time!r:.60}', 'seconds, a number'
            )
            time = None
        size = image.get('height'), image.get('width')
        if not all(v is None or is_id(v) and 0 < v <= MAX_SIDE for v in size):
            text = f'height, width are {size!r:.60}'
            faults.add(where, text, f'integers > 0, up to {MAX_SIDE}')
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
            frame_splits=splits_from_counts([0] * len(names)),
            bboxes=np.zeros((0, 4)),
            raw_person_ids=np.zeros(0, np.int64),
            box_source=[path] * len(names),
            sizes=np.array(sizes).reshape(-1, 2) if whole else None,
            timestamps=None if np.isnan(times).all() else times,
        ),
        index,
    )


def _read_categories(
    content: dict, path: str, faults: FaultList
) -> dict[int | str, Any]:
    """Name of each category by its id."""
    if content.get('categories') is None:
        return {}
    categories = _records(content, 'categories', path, faults) or []
    known = {}
    for i, category in enumerate(categories):
        key = category.get('id')
        if not is_key(key) or key in known:
            faults.add(
                f'{path}, categories[{i}]',
                f'id is {key!r:.60}',
                'an integer or string, each once',
            )
            continue
        known[key] = category.get('name')
    return known


def _read_people(
    people: list[dict],
    known: dict[int | str, Any],
    table: FrameTable,
    index: dict,
    path: str,
    faults: FaultList,
) -> None:
    """Fill in boxes and person ids, frame after frame."""
    only_person = 'person' in known.values()
    frames, boxes, raw_person_ids = [], [], []
    for i, person in enumerate(people):
        where = f'{path}, annotations[{i}]'
        category = person.get('category_id')
        if known and not (is_key(category) and category in known):
            text = f'category_id is {category!r:.60}'
            faults.add(where, text, 'one of categories')
            continue
        crowd = person.get('iscrowd')
        if crowd not in _FLAGS:
            faults.add(where, f'iscrowd is {crowd!r:.60}', '0 or 1')
            continue
        if crowd or (only_person and known[category] != 'person'):
            continue
        key = person.get('image_id')
        if not is_key(key) or key not in index:
            text = f'image_id is {key!r:.60}'
            faults.add(where, text, 'the id of one of images')
            continue
        box = read_bbox(person.get('bbox'), where, faults)
        raw_person_id = person.get('person_id')
        if raw_person_id is None:
            raw_person_id = UNLABELLED
        if not is_id(raw_person_id):
            text = f'person_id is {raw_person_id!r:.60}'
            faults.add(where, text, 'an integer')
            continue
        if box is None:
            continue
        frames.append(index[key])
        boxes.append(box)
        raw_person_ids.append(max(raw_person_id, UNLABELLED))
    owners = np.array(frames, dtype=np.int64)
    order = np.argsort(owners, kind='stable')
    xywh = np.array(boxes, dtype=np.float64).reshape(-1, 4)[order]
    table.bboxes = to_xyxy(xywh)
    table.raw_person_ids = np.array(raw_person_ids, dtype=np.int64)[order]
    counts = np.bincount(owners, minlength=len(table.frame_names))
    table.frame_splits = splits_from_counts(counts)
