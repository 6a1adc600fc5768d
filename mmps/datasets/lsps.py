"""LSPS, read from its own on-disk form."""

import re
from pathlib import Path

import numpy as np

from mmps.registry import DATASETS
from mmps.structures import splits_from_counts

from .errors import FaultList
from .frame_table import MAX_SIDE, FrameTable, stack_boxes, stack_person_ids
from .paths import list_files
from .person_search_dataset import PersonSearchDataset
from .text_files import parse_id, parse_number, read_rows

_CAMERA = re.compile(r'[0-9]{1,9}')


@DATASETS.register_module()
class LSPSDataset(PersonSearchDataset):
    """LSPS: 15 campus cameras, 18,163 training frames, 1,041 training ids.

    The root holds the image folders ``train/`` and ``test/``,
    ``{split}_frame_coord.txt`` (name, then x1 y1 x2 y2 of every box),
    ``{split}_frame_id.txt`` (name, then the ids, negative is unlabelled),
    ``{split}_shape.txt`` (name, height, width) and ``query_info.txt`` (id,
    name, x1 y1 x2 y2), all separated by tabs. Frames are sorted by name;
    they are those of the shape file, or without one those of the image
    folder. A frame without a line has no people. The camera is the third
    part of the name between underscores.

    Args:
        data_root: Defaults to 'data/LSPS'.
        **kwargs: See :class:`PersonSearchDataset`.
    """

    METAINFO = dict(PersonSearchDataset.METAINFO, dataset_type='LSPS')
    LAYOUT = (
        'LSPS with train/, test/, {train,test}_frame_coord.txt, '
        '{train,test}_frame_id.txt, {train,test}_shape.txt, query_info.txt'
    )

    def __init__(
        self,
        data_root: str = 'data/LSPS',
        split: str = 'train',
        data_prefix: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            split=split,
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path=split),
            **kwargs,
        )

    def read_frames(self, faults: FaultList) -> FrameTable | None:
        """Read frame list, boxes, person ids and queries of the test split."""
        root = Path(self.data_root)
        coord_file = root / f'{self.split}_frame_coord.txt'
        boxes = _read_boxes(coord_file, faults)
        person_ids = _read_person_ids(
            root / f'{self.split}_frame_id.txt', faults
        )
        shapes = {}
        shape_file = root / f'{self.split}_shape.txt'
        if shape_file.is_file():
            shapes = _read_shapes(shape_file, faults)
        names = sorted(shapes or list_files(self.data_prefix['img_path']))
        if not names:
            faults.add(
                shape_file,
                f'no such file, and no image in {self.split}/',
                'a list of the frames: name, height, width',
            )
        if len(faults):
            return None
        known = set(names)
        for name in sorted((set(boxes) | set(person_ids)) - known):
            faults.add(
                coord_file, f'names frame {name}', 'a frame of the split'
            )
        for name in sorted(set(boxes) | set(person_ids)):
            num = len(boxes.get(name, ())), len(person_ids.get(name, ()))
            if num[0] != num[1]:
                faults.add(
                    coord_file,
                    f'{num[0]} boxes but {num[1]} ids of frame {name}',
                    'one id per box',
                )
        if len(faults):
            return None
        nobody = np.zeros(0, np.int64)
        table = FrameTable(
            frame_names=names,
            camera_ids=_cameras(names, faults),
            frame_splits=splits_from_counts(
                [len(boxes.get(name, ())) for name in names]
            ),
            bboxes=stack_boxes([boxes[n] for n in names if n in boxes]),
            raw_person_ids=stack_person_ids(
                [person_ids.get(name, nobody) for name in names]
            ),
            box_source=[str(coord_file)] * len(names),
        )
        if shapes:
            table.sizes = np.array([shapes[n] for n in names], np.int64)
        if self.split == 'test':
            _read_queries(table, root / 'query_info.txt', faults)
        return table


def _read_boxes(path: Path, faults: FaultList) -> dict[str, np.ndarray]:
    """(n, 4) x1, y1, x2, y2 of each named frame."""
    found: dict[str, list] = {}
    for line, (name, *values) in read_rows(path, faults, sep='\t'):
        try:
            boxes = np.array([parse_number(v) for v in values])
            boxes = boxes.reshape(-1, 4)
        except ValueError:
            faults.add(
                f'{path}:{line}',
                f'{len(values)} values after {name}',
                'four numbers per box',
            )
            continue
        found.setdefault(name, []).append(boxes)
    return {name: np.concatenate(rows) for name, rows in found.items()}


def _read_person_ids(path: Path, faults: FaultList) -> dict[str, np.ndarray]:
    """(n,) person ids of each named frame, -1 unlabelled."""
    found: dict[str, list] = {}
    for line, (name, *values) in read_rows(path, faults, sep='\t'):
        try:
            found.setdefault(name, []).extend(map(parse_id, values))
        except ValueError:
            faults.add(f'{path}:{line}', f'ids are {values}', 'integers')
    return {
        name: np.maximum(np.array(person_ids, dtype=np.int64), -1)
        for name, person_ids in found.items()
    }


def _read_shapes(path: Path, faults: FaultList) -> dict[str, tuple[int, int]]:
    """Height and width of each frame."""
    shapes: dict[str, tuple[int, int]] = {}
    for line, row in read_rows(path, faults, sep='\t'):
        try:
            name, height, width = row
            size = parse_id(height), parse_id(width)
        except ValueError:
            size = 0, 0
        if not 0 < min(size) <= max(size) <= MAX_SIDE:
            faults.add(f'{path}:{line}', f'is {row}', 'name, height, width')
            continue
        if shapes.setdefault(name, size) != size:
            faults.add(
                f'{path}:{line}', f'frame {name} is listed twice', 'once'
            )
    return shapes


def _cameras(names: list[str], faults: FaultList) -> np.ndarray:
    """(F,) camera numbers out of the frames' names."""
    cameras = np.full(len(names), -1, dtype=np.int64)
    for i, name in enumerate(names):
        parts = Path(name).stem.split('_')
        if len(parts) > 2 and _CAMERA.fullmatch(parts[2]):
            cameras[i] = int(parts[2])
        else:
            faults.add(
                f'frame {name}',
                'its name has no camera',
                'a number as third part between underscores',
            )
    return cameras


def _read_queries(table: FrameTable, path: Path, faults: FaultList) -> None:
    """Fill in the queries: id, frame, x1, y1, x2, y2 per line."""
    index = {name: i for i, name in enumerate(table.frame_names)}
    frames, boxes, person_ids, names = [], [], [], []
    for line, row in read_rows(path, faults, sep='\t'):
        try:
            person_id, name, *values = row
            x1, y1, x2, y2 = map(parse_number, values)
            person_ids.append(parse_id(person_id))
        except ValueError:
            faults.add(
                f'{path}:{line}', f'is {row}', 'id, frame, x1, y1, x2, y2'
            )
            continue
        boxes.append([x1, y1, x2, y2])
        names.append(name)
        frames.append(index.get(name, -1))
    table.query_bboxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    table.query_raw_person_ids = np.array(person_ids, dtype=np.int64)
    table.query_frames = np.array(frames, dtype=np.int64)
    table.query_frame_names = names
    table.query_source = str(path)
