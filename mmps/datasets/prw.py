"""PRW, read from its own on-disk form."""

import re
from pathlib import Path

import numpy as np

from mmps.registry import DATASETS
from mmps.structures import splits_from_counts

from .errors import FaultList
from .frame_table import (
    MAX_ID,
    FrameTable,
    stack_boxes,
    stack_person_ids,
    to_xyxy,
)
from .mat.mat_files import cell_strings, read_mat
from .person_search_dataset import PersonSearchDataset
from .text_files import parse_id, parse_number, read_rows

_BOX_KEYS = ('box_new', 'anno_file', 'anno_previous')
_CAMERA = re.compile(r'c([0-9]{1,9})s')
_ROWS = 'rows of [id x y w h]'


@DATASETS.register_module()
class PRWDataset(PersonSearchDataset):
    """PRW: 6 cameras, 5,704 training and 6,112 test frames.

    The root holds ``frames/*.jpg``, ``annotations/*.jpg.mat``,
    ``frame_train.mat``, ``frame_test.mat`` and ``query_info.txt``, as the
    official archive unpacks. The training split has 483 identities (482 in
    the papers); the id of an unlabelled person on disk is -2. The camera is
    the number in the frame's name (``c1s1_000151``). Boxes are float and
    not clipped: some leave the image by up to 4 pixels.

    Args:
        data_root: Defaults to 'data/PRW'.
        **kwargs: See :class:`PersonSearchDataset`.
    """

    METAINFO = dict(PersonSearchDataset.METAINFO, dataset_type='PRW')
    LAYOUT = (
        'PRW with frames/, annotations/, frame_train.mat, frame_test.mat, '
        'query_info.txt'
    )
    IMAGE_FOLDER = 'frames'

    def __init__(self, data_root: str = 'data/PRW', **kwargs) -> None:
        super().__init__(data_root=data_root, **kwargs)

    def read_frames(self, faults: FaultList) -> FrameTable | None:
        """Read frame list, boxes and, for the test split, queries."""
        root = Path(self.data_root)
        path = root / f'frame_{self.split}.mat'
        key = f'img_index_{self.split}'
        cells = read_mat(path, (key,), faults)
        if cells is None:
            return None
        try:
            names = [_with_suffix(name) for name in cell_strings(cells)]
        except ValueError as error:
            faults.add(path, f'{key}: {error}', 'a cell array of frame names')
            return None
        sources, boxes, person_ids = [], [], []
        for name in names:
            source = f'{root}/annotations/{name}.mat'
            frame_boxes, frame_person_ids = _read_boxes(source, faults)
            sources.append(source)
            boxes.append(frame_boxes)
            person_ids.append(frame_person_ids)
        table = FrameTable(
            frame_names=names,
            camera_ids=_cameras(names, path, faults),
            frame_splits=splits_from_counts([len(part) for part in boxes]),
            bboxes=stack_boxes(boxes),
            raw_person_ids=stack_person_ids(person_ids),
            box_source=sources,
        )
        if self.split == 'test':
            self._read_queries(table, root / 'query_info.txt', faults)
        return table

    @staticmethod
    def _read_queries(
        table: FrameTable, path: Path, faults: FaultList
    ) -> None:
        """Fill in the queries: ``id x y w h frame`` per line."""
        rows = read_rows(path, faults)
        index = {name: i for i, name in enumerate(table.frame_names)}
        frames, boxes, person_ids, names = [], [], [], []
        for line, row in rows:
            try:
                person_id, x, y, w, h, name = row
                values = [parse_number(v) for v in (x, y, w, h)]
                person_ids.append(parse_id(person_id))
            except ValueError:
                faults.add(f'{path}:{line}', f'is {row}', 'id x y w h frame')
                continue
            boxes.append(values)
            names.append(_with_suffix(name))
            frames.append(index.get(names[-1], -1))
        xywh = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        table.query_bboxes = to_xyxy(xywh)
        table.query_raw_person_ids = np.array(person_ids, dtype=np.int64)
        table.query_frames = np.array(frames, dtype=np.int64)
        table.query_frame_names = names
        table.query_source = str(path)


def _with_suffix(name: str) -> str:
    return name if name.endswith('.jpg') else f'{name}.jpg'


def _cameras(names: list[str], path: Path, faults: FaultList) -> np.ndarray:
    """(F,) camera numbers out of the frames' names."""
    cameras = np.full(len(names), -1, dtype=np.int64)
    for i, name in enumerate(names):
        match = _CAMERA.match(name)
        if match is None:
            faults.add(
                path, f'frame name {name!r}', 'c<camera>s<sequence>_...'
            )
        else:
            cameras[i] = int(match[1])
    return cameras


def _read_boxes(path: str, faults: FaultList) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) xyxy and person ids (n,), negative ids made -1."""
    empty = np.zeros((0, 4)), np.zeros(0, np.int64)
    rows = read_mat(path, _BOX_KEYS, faults)
    if rows is None or rows.size == 0:
        return empty
    if rows.ndim != 2 or rows.shape[1] != 5 or rows.dtype.kind not in 'fiu':
        faults.add(path, f'{rows.dtype} array of shape {rows.shape}', _ROWS)
        return empty
    rows = rows.astype(np.float64)
    person_ids = rows[:, 0]
    whole = np.isfinite(rows).all() and not (person_ids % 1).any()
    if not whole or (np.abs(person_ids) >= MAX_ID).any():
        faults.add(path, 'values that are no numbers or ids', _ROWS)
        return empty
    person_ids = np.maximum(person_ids, -1).astype(np.int64)
    return to_xyxy(rows[:, 1:]), person_ids
