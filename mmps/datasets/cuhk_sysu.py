"""CUHK-SYSU, read from its own on-disk form."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmps.registry import DATASETS
from mmps.structures import (
    UNLABELLED,
    GallerySet,
    frame_of_rows,
    splits_from_counts,
)

from .cuhk_protocol import Protocol, read_person_ids, read_protocol
from .errors import FaultList
from .frame_table import FrameTable, stack_boxes, to_xyxy
from .mat.mat_files import (
    OTHER_FORM,
    cell_strings,
    one_box,
    one_string,
    read_mat,
)
from .person_search_dataset import PersonSearchDataset

_SUBSETS = {
    'occlusion': ('Occlusion.mat', 'Occlusion1'),
    'resolution': ('Resolution.mat', 'Test_Size'),
}
_PROTOCOL_FILE = re.compile(r'TestG(\d+)\.mat')


@DATASETS.register_module()
class CUHKSYSUDataset(PersonSearchDataset):
    """CUHK-SYSU: 11,206 training and 6,978 test images.

    The root holds ``Image/SSM/*.jpg`` and ``annotation/`` with
    ``Images.mat``, ``pool.mat``, ``test/train_test/Train.mat``,
    ``test/train_test/TestG*.mat`` and ``test/subset/*.mat``, as the
    official archive unpacks. The training split is all images but the
    pool, sorted by name; the test split is the pool in its own order.

    Person ids are attached to the boxes of Images.mat by exact match, the
    test split's from its smallest protocol file. The raw id is the number
    in the idname (``p10581``). Boxes without area, which Images.mat is
    known to have, are left out with a warning.

    Every protocol file becomes a gallery of the same name: '50' ...
    '4000', 'occlusion', 'resolution', and 'all', which is '50' with the
    rest of the pool as further images without the person. Entries that
    repeat an image or are the query's own image stay as they are.

    Args:
        data_root: Defaults to 'data/CUHK-SYSU'.
        galleries: Names of the galleries to read. Defaults to None, all
            that are there.
        **kwargs: See :class:`PersonSearchDataset`.
    """

    METAINFO = dict(PersonSearchDataset.METAINFO, dataset_type='CUHK-SYSU')
    LAYOUT = (
        'CUHK-SYSU with Image/SSM/, annotation/Images.mat, '
        'annotation/pool.mat, annotation/test/train_test/'
    )
    IMAGE_FOLDER = 'Image/SSM'

    def __init__(
        self,
        data_root: str = 'data/CUHK-SYSU',
        galleries: Sequence[str] | None = None,
        **kwargs,
    ) -> None:
        self.galleries = None if galleries is None else list(galleries)
        super().__init__(data_root=data_root, **kwargs)

    def read_frames(self, faults: FaultList) -> FrameTable | None:
        """Read images, boxes, person ids and protocols of the test split."""
        folder = Path(self.data_root, 'annotation')
        boxes = _read_boxes(folder / 'Images.mat', faults)
        pool = _read_pool(folder / 'pool.mat', faults)
        if boxes is None or pool is None:
            return None
        names = pool
        if self.split == 'train':
            names = sorted(set(boxes) - set(pool))
        for name in (name for name in names if name not in boxes):
            faults.add(
                folder / 'pool.mat',
                f'names image {name}',
                'an image of Images.mat',
            )
            return None
        table = FrameTable(
            frame_names=names,
            camera_ids=np.full(len(names), -1, dtype=np.int64),
            frame_splits=splits_from_counts(
                [len(boxes[name]) for name in names]
            ),
            bboxes=stack_boxes([boxes[name] for name in names]),
            raw_person_ids=np.zeros(0, np.int64),
            box_source=[str(folder / 'Images.mat')] * len(names),
        )
        if self.split == 'train':
            labels = _read_train(
                folder / 'test/train_test/Train.mat', names, boxes, faults
            )
        else:
            protocol = self._read_protocols(table, folder / 'test', faults)
            labels = protocol and protocol.positives()
        if labels is None:
            return None
        table.raw_person_ids = _attach_person_ids(table, *labels)
        table.extra_raw_person_ids = np.unique(labels[2])
        table.bboxes = to_xyxy(table.bboxes)
        return table

    def _read_protocols(
        self, table: FrameTable, folder: Path, faults: FaultList
    ) -> Protocol | None:
        """Fill in queries and galleries; returns the smallest protocol."""
        index = {name: i for i, name in enumerate(table.frame_names)}
        files = sorted(
            (int(match[1]), path)
            for path in (folder / 'train_test').glob('TestG*.mat')
            if (match := _PROTOCOL_FILE.fullmatch(path.name))
        )
        if not files:
            faults.add(
                folder / 'train_test',
                'no protocol file',
                'at least one of TestG50.mat ... TestG4000.mat',
            )
            return None
        wanted = self._wanted([str(size) for size, _ in files], folder, faults)
        first, order = None, {}
        for size, path in files:
            needed = str(size) in wanted or (size == 50 and 'all' in wanted)
            if first is not None and not needed:
                continue
            protocol = read_protocol(path, path.stem, index, faults)
            if protocol is None:
                continue
            if first is None:
                first = protocol
                order = {k: i for i, k in enumerate(protocol.query_keys())}
            gallery = protocol.gallery(order, faults)
            if gallery is None:
                continue
            if str(size) in wanted:
                table.galleries[str(size)] = gallery
            if size == 50 and 'all' in wanted:
                table.galleries['all'] = replace(gallery, rest_of_frames=True)
        if first is None:
            return None
        for name in (name for name in wanted if name in _SUBSETS):
            gallery = self._read_subset(name, folder, index, order, faults)
            if gallery is not None:
                table.galleries[name] = gallery
        table.query_frames = first.query_frames
        table.query_bboxes = to_xyxy(first.query_boxes)
        table.query_raw_person_ids = first.query_person_ids
        table.query_frame_names = first.query_names
        table.query_source = str(first.path)
        return first

    def _wanted(
        self, sizes: list[str], folder: Path, faults: FaultList
    ) -> list[str]:
        """Names of the galleries to read; missing ones are a fault."""
        there = [*sizes, *(['all'] if '50' in sizes else [])]
        there += [
            name
            for name, (file, _) in _SUBSETS.items()
            if (folder / 'subset' / file).is_file()
        ]
        if self.galleries is None:
            return there
        for name in self.galleries:
            if name not in there:
                faults.add(
                    folder,
                    f'no protocol for gallery {name!r}',
                    f'one of those there: {", ".join(there)}',
                )
        return self.galleries

    def _read_subset(
        self,
        name: str,
        folder: Path,
        index: dict[str, int],
        order: dict[tuple, int],
        faults: FaultList,
    ) -> GallerySet | None:
        """A subset protocol; unless asked for by name, it may fail."""
        file, key = _SUBSETS[name]
        own = faults if self.galleries else FaultList(f'gallery {name!r}')
        protocol = read_protocol(folder / 'subset' / file, key, index, own)
        gallery = protocol and protocol.gallery(order, own)
        if own is not faults and len(own):
            _warn(f'gallery {name!r} is left out: {own.lines[0]}')
            return None
        return gallery


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def _read_pool(path: Path, faults: FaultList) -> list[str] | None:
    """Names of the test images."""
    cells = read_mat(path, ('pool',), faults)
    try:
        return None if cells is None else cell_strings(cells)
    except ValueError as error:
        faults.add(path, f'pool: {error}', 'a cell array of image names')
        return None


def _read_boxes(path: Path, faults: FaultList) -> dict[str, np.ndarray] | None:
    """(n, 4) x, y, w, h of every image, without boxes of no area."""
    images = read_mat(path, ('Img',), faults)
    if images is None:
        return None
    boxes: dict[str, np.ndarray] = {}
    dropped = []
    try:
        for image, _, people in images.ravel():
            name = one_string(image)
            rows = [one_box(person[0]) for person in people.ravel()]
            found = np.array(rows).reshape(-1, 4)
            keep = ~(found[:, 2:] <= 0).any(1)  # NaN is no empty box
            if not keep.all():
                dropped.append(name)
            if name in boxes:
                faults.add(path, f'image {name} twice', 'each image once')
            boxes[name] = found[keep]
    except OTHER_FORM as error:
        faults.add(
            path,
            f'Img has another form ({error})',
            'a struct array of imname, nAppear, box (idlocate, ishard)',
        )
        return None
    if dropped:
        _warn(
            f'{path}: boxes without area left out in {len(dropped)} images, '
            f'the first is {dropped[0]}'
        )
    return boxes


def _read_train(
    path: Path,
    names: list[str],
    boxes: dict[str, np.ndarray],
    faults: FaultList,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Frames (P,), boxes (P, 4) and person ids (P,) of the training people."""
    people = read_mat(path, ('Train',), faults)
    if people is None:
        return None
    index = {name: i for i, name in enumerate(names)}
    frames, found, owners, outside = [], [], [], set()
    id_names = []
    try:
        for place, person in enumerate(people.ravel()):
            id_name, _, scenes = person.ravel()[0]
            id_names.append(id_name)
            for image, box, _ in scenes.ravel():
                name = one_string(image)
                if name not in index:
                    outside.add(name)
                    continue
                frames.append(index[name])
                found.append(one_box(box))
                owners.append(place)
    except OTHER_FORM as error:
        faults.add(
            path,
            f'Train has another form ({error})',
            'a cell array of structs idname, nAppear, scene (imname, '
            'idlocate, ishard)',
        )
        return None
    person_ids = read_person_ids(id_names, path, faults)
    for name in sorted(outside - set(boxes)):
        faults.add(path, f'names image {name}', 'an image of Images.mat')
    if outside & set(boxes):
        _warn(f'{path}: {len(outside & set(boxes))} scenes are in the pool')
    return (
        np.array(frames, dtype=np.int64),
        np.array(found, dtype=np.float64).reshape(-1, 4),
        person_ids[np.array(owners, dtype=np.int64)],
    )


def _attach_person_ids(
    table: FrameTable,
    frames: np.ndarray,
    boxes: np.ndarray,
    person_ids: np.ndarray,
) -> np.ndarray:
    """(N,) person ids of the table's x, y, w, h boxes, by exact match."""
    owners = frame_of_rows(table.frame_splits)
    rows: dict[tuple, int] = {}
    for row, key in enumerate(zip(owners.tolist(), *table.bboxes.T.tolist())):
        rows.setdefault(key, row)
    found = np.full(len(table.bboxes), UNLABELLED, dtype=np.int64)
    lost, conflicts = [], 0
    keys = zip(frames.tolist(), *boxes.astype(np.float64).T.tolist())
    for key, person in zip(keys, person_ids.tolist(), strict=True):
        row = rows.get(key)
        if row is None:
            lost.append(table.frame_names[key[0]])
            continue
        conflicts += found[row] not in (UNLABELLED, person)
        found[row] = person
    if lost:
        _warn(
            f'{len(lost)} labelled boxes are not in Images.mat, the first in '
            f'{lost[0]}; they stay without a box there'
        )
    if conflicts:
        _warn(f'{conflicts} boxes have two ids, the later one is taken')
    return found
