"""Small data sets on disk, in the forms that the real ones have.

The same bytes every time; arguments replace the usual content.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

from mmps.scenes import ScenesConfig, make_scenes
from mmps.scenes.mat_writing import cells, struct

# Frame -> rows of [id, x, y, w, h]; -2 is PRW's unlabelled.
PRW_TRAIN = {
    'c1s1_000001': [[7, 10.5, 20.25, 30, 60], [-2, 50, 10, 20, 45.5]],
    'c2s1_000001': [[932, 5, 5, 20, 50], [3, 60, 20, 25, 70]],
    'c2s1_000002': [[-2, 1, 1, 10, 30]],
    'c3s2_000001': [],
}
PRW_TEST = {
    'c1s1_000010': [[11, 10, 20, 30, 60], [-2, 50, 10, 20, 45]],
    'c2s1_000010': [[12, -2.5, 5, 20, 50], [11, 60, 20, 25, 70]],
    'c6s1_000010': [[12, 30, 30, 20, 40]],
    'c6s1_000011': [],
}
PRW_QUERIES = [
    (12, -2.5, 5, 20, 50, 'c2s1_000010'),
    (11, 10, 20, 30, 60, 'c1s1_000010'),
    (11, 60, 20, 25, 70, 'c2s1_000010'),
]


def write_image(path: Path, width: int = 120, height: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path.name)))
    pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.blur(pixels, (5, 5)))


def write_mat(path: Path, compress: bool = False, **values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, values, do_compression=compress)
    with path.open('r+b') as file:  # where scipy wrote the time
        file.write(b'MATLAB 5.0 MAT-file'.ljust(116))


def write_prw(
    root: Path,
    train: dict = PRW_TRAIN,
    test: dict = PRW_TEST,
    queries: list[tuple] = PRW_QUERIES,
    key: str = 'box_new',
    newline: str = '\r\n',
    images: bool = True,
) -> Path:
    (root / 'annotations').mkdir(parents=True)
    for split, frames in (('train', train), ('test', test)):
        names = {f'img_index_{split}': cells(list(frames))}
        write_mat(root / f'frame_{split}.mat', **names)
        for name, rows in frames.items():
            array = np.array(rows, dtype=np.float64).reshape(-1, 5)
            write_mat(root / f'annotations/{name}.jpg.mat', **{key: array})
            if images:
                write_image(root / f'frames/{name}.jpg')
    lines = [' '.join(map(str, query)) for query in queries]
    text = newline.join([*lines, ''])
    (root / 'query_info.txt').write_bytes(text.encode())
    return root


CUHK_BOXES = {  # x, y, w, h
    's1.jpg': [(10, 10, 20, 50), (40, 10, 20, 50)],
    's2.jpg': [(10, 10, 20, 50)],
    's3.jpg': [(5, 5, 30, 60), (60, 5, 30, 60)],
    's4.jpg': [(7, 7, 21, 55)],
    's5.jpg': [(70, 10, 20, 50), (10, 30, 15, 40)],
    's10.jpg': [(1, 2, 30, 40)],
}
CUHK_POOL = ['s3.jpg', 's5.jpg', 's4.jpg']
CUHK_TRAIN = [
    ('p20', [('s2.jpg', (10, 10, 20, 50)), ('s1.jpg', (40, 10, 20, 50))]),
    ('p7', [('s10.jpg', (1, 2, 30, 40))]),
]
# idname, query, gallery entries (None: the person is not there).
CUHK_TEST = [
    (
        'p31',
        ('s3.jpg', (5, 5, 30, 60)),
        [('s5.jpg', (10, 30, 15, 40)), ('s4.jpg', None)],
    ),
    (
        'p30',
        ('s4.jpg', (7, 7, 21, 55)),
        [('s5.jpg', (70, 10, 20, 50)), ('s4.jpg', (7, 7, 21, 55))],
    ),
]


def scene_rows(scenes: list[tuple], dtype: type = np.uint16) -> np.ndarray:
    rows = []
    for name, box in scenes:
        box = np.zeros((0, 0)) if box is None else np.array([box], dtype)
        rows.append((name, box, np.array([[0]])))
    return struct(rows, ('imname', 'idlocate', 'ishard'))


def write_protocol(
    path: Path, key: str, test: list[tuple], compress: bool = False
) -> None:
    """Write a file of queries and galleries of CUHK-SYSU."""
    rows = []
    for id_name, query, gallery in test:
        name, box = query
        query = struct(
            [(name, np.array([box], np.uint16), np.array([[0]]), id_name)],
            ('imname', 'idlocate', 'ishard', 'idname'),
        )
        rows.append((query, scene_rows(gallery)))
    write_mat(path, compress, **{key: struct(rows, ('Query', 'Gallery'))})


def write_cuhk(
    root: Path,
    boxes: dict = CUHK_BOXES,
    pool: list[str] = CUHK_POOL,
    train: list[tuple] | None = CUHK_TRAIN,
    tests: dict | None = None,
    images: bool = True,
) -> Path:
    """Write CUHK-SYSU with TestG2 and TestG50."""
    folder = root / 'annotation/test/train_test'
    rows = []
    for name, found in boxes.items():
        people = [(np.array([b], np.uint16), np.array([[0]])) for b in found]
        people = struct(people, ('idlocate', 'ishard'))
        rows.append((name, np.array([[len(found)]]), people))
        if images:
            write_image(root / 'Image/SSM' / name)
    img = struct(rows, ('imname', 'nAppear', 'box'))
    write_mat(root / 'annotation/Images.mat', Img=img)
    write_mat(root / 'annotation/pool.mat', pool=cells(pool))
    folder.mkdir(parents=True)
    if train is not None:
        people = [
            struct(
                [(name, np.array([[len(s)]]), scene_rows(s))],
                ('idname', 'nAppear', 'scene'),
            )
            for name, s in train
        ]
        write_mat(folder / 'Train.mat', Train=cells(people))
    if tests is None:
        tests = {'TestG2': CUHK_TEST, 'TestG50': CUHK_TEST}
    for key, test in tests.items():
        write_protocol(folder / f'{key}.mat', key, test)
    return root


LSPS_TRAIN = {
    'a_1_3_x.jpg': [(5, (1, 2, 31, 82)), (-1, (40, 10, 60, 70))],
    'a_2_4_x.jpg': [(9, (5, 5, 25, 65))],
    'b_3_4_x.jpg': [],
}
LSPS_TEST = {
    't_1_3_x.jpg': [(21, (1, 2, 31, 82)), (-1, (40, 10, 60, 70))],
    't_2_15_x.jpg': [(21, (5, 5, 25, 65)), (22, (40, 5, 65, 65))],
}
LSPS_QUERIES = [
    (22, 't_2_15_x.jpg', 40.0, 5.0, 65.0, 65.0),
    (21, 't_1_3_x.jpg', 1.0, 2.0, 31.0, 82.0),
]


def write_lsps(
    root: Path,
    train: dict = LSPS_TRAIN,
    test: dict = LSPS_TEST,
    queries: list[tuple] = LSPS_QUERIES,
    shapes: bool = True,
    images: bool = True,
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for split, frames in (('train', train), ('test', test)):
        coords, ids, sizes = [], [], []
        for name, people in frames.items():
            if images:
                write_image(root / split / name)
            sizes.append(f'{name}\t100\t120\n')
            if people:
                flat = [v for _, box in people for v in box]
                coords.append('\t'.join(map(str, [name, *flat])) + '\t\n')
                numbers = [name, *(i for i, _ in people)]
                ids.append('\t'.join(map(str, numbers)) + '\n')
        (root / f'{split}_frame_coord.txt').write_text(''.join(coords))
        (root / f'{split}_frame_id.txt').write_text(''.join(ids))
        if shapes:
            (root / f'{split}_shape.txt').write_text(''.join(sizes))
    lines = ['\t'.join(map(str, query)) + '\n' for query in queries]
    (root / 'query_info.txt').write_text(''.join(lines))
    return root


def write_scenes(root: Path, **settings: Any) -> Path:
    """Render frames of two cameras, 192 x 108 pixels unless told otherwise."""
    usual = dict(
        train_frames=8,
        test_frames=7,  # one is padded where two processes share them
        train_ids=6,
        test_ids=3,
        cameras=2,
        size=(192, 108),
    )
    make_scenes(root, ScenesConfig(**{**usual, **settings}), workers=1)
    return root
