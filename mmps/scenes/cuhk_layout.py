"""Writing the scenes in CUHK-SYSU's on-disk form."""

from pathlib import Path

import numpy as np

from .layout import Layout
from .mat_writing import cells, save_mat, struct
from .scenes_config import ScenesConfig
from .truth import SplitTruth, choose_queries

__all__ = ['CUHK_LAYOUT', 'GALLERY_SIZES']

GALLERY_SIZES = (50, 100, 500, 1000, 2000, 4000)
_EMPTY = np.zeros((1, 0))


def _write_annotations(
    root: Path,
    config: ScenesConfig,
    train: SplitTruth,
    test: SplitTruth,
    names: dict[str, str],
) -> dict[str, int]:
    """Write the ``.mat`` files; returns ``queries`` and ``galleries``.

    See :attr:`Layout.write_annotations`.
    """
    protocols = root / 'annotation' / 'test' / 'train_test'
    protocols.mkdir(parents=True, exist_ok=True)
    images = []
    for truth in (train, test):
        boxes = _whole(truth.boxes, config.size)
        for i, name in enumerate(truth.names):
            start, stop = truth.frame_splits[i : i + 2]
            mine = slice(start, stop)
            hard = truth.hidden[mine] > 0.3
            people = struct(
                zip(boxes[mine, None], hard.astype(np.uint8), strict=True),
                ('idlocate', 'ishard'),
            )
            count = np.array([[stop - start]])
            images.append((names[name], count, people))
    images.sort(key=lambda row: int(row[0][1:-4]))
    save_mat(
        root / 'annotation' / 'Images.mat',
        {'Img': struct(images, ('imname', 'nAppear', 'box'))},
    )
    save_mat(
        root / 'annotation' / 'pool.mat',
        {'pool': cells([names[name] for name in test.names])},
    )
    save_mat(protocols / 'Train.mat', {'Train': _train(train, config, names)})
    queries = choose_queries(test, config, per_camera=False)
    sizes = [s for s in GALLERY_SIZES if s < len(test.names)]
    for size in sizes:
        key = f'TestG{size}'
        table = _protocol(test, config, names, queries, size)
        save_mat(protocols / f'{key}.mat', {key: table})
    return {'queries': len(queries), 'galleries': len(sizes)}


def _whole(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return boxes in whole pixels within the frame, (n, 4) int32."""
    limit = np.array([*size, *size])
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    corners = np.clip(np.round(corners), 0, limit).astype(np.int32)
    corners[:, 2:] -= corners[:, :2]
    return corners


def _records(truth: SplitTruth, config, names, boxes: np.ndarray) -> list:
    """Return (imname, idlocate, ishard) of each of the given boxes."""
    places = _whole(truth.boxes[boxes], config.size)[:, None]
    return [
        (
            names[truth.names[truth.frames[b]]],
            place,
            np.array([[truth.hidden[b] > 0.3]], np.uint8),
        )
        for b, place in zip(boxes, places, strict=True)
    ]


def _train(truth: SplitTruth, config, names) -> np.ndarray:
    """Return the cell column of identities with the scenes they are in."""
    people = []
    for person in truth.labelled_person_ids:
        mine = np.flatnonzero(truth.person_ids == person)
        if len(mine) < 2:
            continue  # loaders expect several scenes of everybody
        scenes = struct(
            _records(truth, config, names, mine),
            ('imname', 'idlocate', 'ishard'),
        )
        record = (f'p{person}', np.array([[len(mine)]]), scenes)
        people.append(struct([record], ('idname', 'nAppear', 'scene')))
    return cells(people)


def _protocol(
    truth: SplitTruth, config, names, queries: np.ndarray, size: int
) -> np.ndarray:
    """Return queries with galleries of ``size`` frames, positives first."""
    rows = []
    for query in queries:
        # One stream per query: a small gallery begins a larger one.
        rng = np.random.default_rng((config.seed, 52, int(query)))
        person, own = truth.person_ids[query], truth.frames[query]
        mine = np.flatnonzero(truth.person_ids == person)
        mine = rng.permutation(mine[truth.frames[mine] != own])[:size]
        shown = np.isin(
            np.arange(len(truth.names)),
            truth.frames[truth.person_ids == person],
        )
        rest = rng.permutation(np.flatnonzero(~shown))[: size - len(mine)]
        entries = _records(truth, config, names, mine)
        entries += [(names[truth.names[f]], _EMPTY, _EMPTY) for f in rest]
        (asked,) = _records(truth, config, names, np.array([query]))
        rows.append(
            (
                struct(
                    [(*asked, f'p{person}')],
                    ('imname', 'idlocate', 'ishard', 'idname'),
                ),
                struct(entries, ('imname', 'idlocate', 'ishard')),
            )
        )
    return struct(rows, ('Query', 'Gallery'))


CUHK_LAYOUT = Layout(
    image_folder='Image/SSM',
    image_name=lambda _, number: f's{number + 1}.jpg',
    write_annotations=_write_annotations,
)
