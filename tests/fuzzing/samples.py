"""One tiny search data set, in every form that is read."""

import json
from pathlib import Path

import numpy as np

from mmps.scenes.mat_writing import cells, save_mat, struct

# Frame to people: person id (-1 unlabelled) and x, y, w, h.
Frames = dict[str, list[tuple[int, tuple[int, int, int, int]]]]
TRAIN: Frames = {
    'c1s1_01_1.jpg': [(7, (10, 20, 30, 60)), (-1, (50, 10, 20, 45))],
    'c2s1_01_2.jpg': [(9, (5, 5, 20, 50)), (7, (60, 20, 25, 70))],
    'c3s1_02_3.jpg': [(-1, (1, 1, 10, 30))],
}
TEST: Frames = {
    'c1s2_01_1.jpg': [(11, (10, 20, 30, 60)), (-1, (50, 10, 20, 45))],
    'c2s2_01_2.jpg': [(12, (2, 5, 20, 50)), (11, (60, 20, 25, 70))],
    'c3s2_01_3.jpg': [(12, (30, 30, 20, 40))],
    'c3s2_02_3.jpg': [],
}
QUERIES = [
    (12, (2, 5, 20, 50), 'c2s2_01_2.jpg'),
    (11, (10, 20, 30, 60), 'c1s2_01_1.jpg'),
]
# Of each query: frames, and the person's box or None.
GALLERIES = [
    [('c3s2_01_3.jpg', (30, 30, 20, 40)), ('c1s2_01_1.jpg', None)],
    [('c2s2_01_2.jpg', (60, 20, 25, 70)), ('c3s2_02_3.jpg', None)],
]
SPLITS = {'train': TRAIN, 'test': TEST}


def write_mat(path: Path, **values: object) -> None:
    """Write variables to a ``.mat`` file, the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_mat(path, values)


def write_prw(root: Path) -> None:
    """Write it as :class:`~mmps.datasets.PRWDataset` reads it."""
    for split, frames in SPLITS.items():
        names = cells([name[:-4] for name in frames])
        write_mat(root / f'frame_{split}.mat', **{f'img_index_{split}': names})
        for name, people in frames.items():
            rows = [(-2 if i < 0 else i, *box) for i, box in people]
            array = np.array(rows, np.float64).reshape(-1, 5)
            write_mat(root / f'annotations/{name}.mat', box_new=array)
    lines = [f'{i} {" ".join(map(str, b))} {n}\r\n' for i, b, n in QUERIES]
    (root / 'query_info.txt').write_text(''.join(lines), newline='')


def write_cuhk(root: Path) -> None:
    """Write it as :class:`~mmps.datasets.CUHKSYSUDataset` reads it."""
    folder, one = root / 'annotation', np.array([[1]])
    images = [
        (
            name,
            one,
            struct(
                [(np.array([b], np.uint16), one) for _, b in people],
                ('idlocate', 'ishard'),
            ),
        )
        for frames in SPLITS.values()
        for name, people in frames.items()
    ]
    write_mat(
        folder / 'Images.mat', Img=struct(images, ('imname', 'nAppear', 'box'))
    )
    write_mat(folder / 'pool.mat', pool=cells(list(TEST)))
    people = []
    for person in (7, 9):
        scenes = [
            (name, box)
            for name, found in TRAIN.items()
            for i, box in found
            if i == person
        ]
        row = (f'p{person}', one, _entries(scenes))
        people.append(struct([row], ('idname', 'nAppear', 'scene')))
    folder = folder / 'test'
    write_mat(folder / 'train_test/Train.mat', Train=cells(people))
    protocol = struct(
        [
            (_entries([(name, box)], f'p{person}'), _entries(gallery))
            for (person, box, name), gallery in zip(QUERIES, GALLERIES)
        ],
        ('Query', 'Gallery'),
    )
    write_mat(folder / 'train_test/TestG50.mat', TestG50=protocol)
    write_mat(folder / 'subset/Occlusion.mat', Occlusion1=protocol[:, :1])


def _entries(scenes: list[tuple], person: str = '') -> np.ndarray:
    hard = np.array([[0]])
    empty = np.zeros((0, 0))
    rows = [
        (name, empty if box is None else np.array([box], np.uint16), hard)
        for name, box in scenes
    ]
    fields = ('imname', 'idlocate', 'ishard')
    if person:
        return struct([(*row, person) for row in rows], (*fields, 'idname'))
    return struct(rows, fields)


def write_lsps(root: Path) -> None:
    """Write it as :class:`~mmps.datasets.LSPSDataset` reads it."""
    for split, frames in SPLITS.items():
        coords, ids, sizes = [], [], []
        for name, people in frames.items():
            sizes.append(f'{name}\t100\t120\n')
            if people:
                corners = [v for _, box in people for v in _corners(box)]
                coords.append('\t'.join(map(str, [name, *corners])) + '\t\n')
                numbers = [name, *(i for i, _ in people)]
                ids.append('\t'.join(map(str, numbers)) + '\n')
        (root / f'{split}_frame_coord.txt').write_text(''.join(coords))
        (root / f'{split}_frame_id.txt').write_text(''.join(ids))
        (root / f'{split}_shape.txt').write_text(''.join(sizes))
    lines = [
        '\t'.join(map(str, [person, name, *_corners(box)])) + '\n'
        for person, box, name in QUERIES
    ]
    (root / 'query_info.txt').write_text(''.join(lines))


def _corners(box: tuple[int, int, int, int]) -> tuple[int, ...]:
    x, y, w, h = box
    return x, y, x + w, y + h


def write_coco(root: Path) -> None:
    """Write it as CocoPersonSearchDataset reads it, with a gallery."""
    places = {name: i for i, name in enumerate(TEST)}
    for split, frames in SPLITS.items():
        images = [
            dict(
                id=i, file_name=name, width=120, height=100,
                camera_id=int(name[1]), timestamp=i + 0.5,
            )
            for i, name in enumerate(frames)
        ]  # fmt: skip
        people = [
            dict(
                id=10 * i + j, image_id=i, category_id=1, bbox=list(box),
                iscrowd=0, person_id=person,
            )
            for i, found in enumerate(frames.values())
            for j, (person, box) in enumerate(found)
        ]  # fmt: skip
        content = dict(
            images=images,
            annotations=people,
            categories=[dict(id=1, name='person')],
        )
        (root / f'{split}.json').write_text(json.dumps(content))
    queries = [
        dict(image_id=places[name], bbox=list(box), person_id=person)
        for person, box, name in QUERIES
    ]
    entries = [entry for gallery in GALLERIES for entry in gallery]
    gallery = dict(
        splits=[0, 2, 4],
        image_ids=[places[name] for name, _ in entries],
        rows=[i for i, (_, box) in enumerate(entries) if box],
        bboxes=[list(box) for _, box in entries if box],
        queries=[0, 1],
        rest_of_frames=False,
    )
    text = json.dumps(dict(queries=queries, galleries={'2': gallery}))
    (root / 'queries.json').write_text(text)
