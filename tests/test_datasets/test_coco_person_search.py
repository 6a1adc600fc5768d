"""Tests of the COCO form: reading, faults, round trip of the converters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmps.datasets import (
    CocoPersonSearchDataset,
    CUHKSYSUDataset,
    DatasetError,
    LSPSDataset,
    PRWDataset,
)
from mmps.datasets.coco_export import export_coco
from mmps.structures import fingerprint

IMAGES = [
    dict(id=5, file_name='x/a.jpg', width=120, height=100, camera_id=2),
    dict(id='b', file_name='b.jpg', width=120, height=100, timestamp=3.5),
]
PEOPLE = [
    dict(image_id='b', bbox=[1, 2, 30, 60.5], person_id=40),
    dict(image_id=5, bbox=[10, 2, 30, 60], person_id=7),
    dict(image_id=5, bbox=[50, 2, 30, 60]),
    dict(image_id=5, bbox=[60, 2, 30, 60], person_id=None),
    dict(image_id='b', bbox=[60, 2, 30, 60], person_id=-2),
]
QUERIES = [
    dict(image_id='b', bbox=[1, 2, 30, 60.5], person_id=40),
    dict(file_name='x/a.jpg', bbox=[10, 2, 30, 60], person_id=7),
]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., dict]:
    """Writer of both files; returns the data set's arguments."""

    def write(
        images: Any = IMAGES,
        annotations: Any = PEOPLE,
        queries: Any = QUERIES,
        **others: Any,
    ) -> dict:
        content = dict(images=images, annotations=annotations, **others)
        (tmp_path / 'ann.json').write_text(json.dumps(content))
        (tmp_path / 'query.json').write_text(json.dumps(queries))
        return dict(
            ann_file='ann.json',
            query_file='query.json',
            data_root=str(tmp_path),
            split='test',
        )

    return write


def test_reads_frames_people_and_queries(write: Callable) -> None:
    dataset = CocoPersonSearchDataset(**write())
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['frame_name'] == 'x/a.jpg'
    assert first['person_ids'].tolist() == [0, -1, -1]
    assert first['gt_bboxes'][0].tolist() == [10, 2, 40, 62]
    assert (first['camera_id'], second['camera_id']) == (2, -1)
    assert np.isnan(first['timestamp'])
    assert second['timestamp'] == 3.5
    assert (first['height'], first['width']) == (100, 120)
    assert second['person_ids'].tolist() == [1, -1]
    truth = dataset.metainfo['search']
    assert truth.query_frames.tolist() == [1, 0]
    assert truth.query_person_ids.tolist() == [1, 0]
    assert truth.query_bboxes[0].tolist() == [1, 2, 31, 62.5]


def test_without_queries(write: Callable) -> None:
    options = write() | dict(query_file='')
    dataset = CocoPersonSearchDataset(**options)
    assert dataset.metainfo['search'].num_queries == 0


def test_queries_with_galleries(write: Callable) -> None:
    gallery = dict(
        splits=[0, 2],
        image_ids=[5, 'b'],
        rows=[1],
        bboxes=[[1, 2, 30, 60]],
        queries=[1],
        rest_of_frames=True,
    )
    dataset = CocoPersonSearchDataset(
        **write(queries=dict(queries=QUERIES, galleries={'mine': gallery}))
    )
    found = dataset.metainfo['search'].galleries['mine']
    assert found.frames.tolist() == [0, 1]
    assert found.queries.tolist() == [1]
    assert found.rest_of_frames
    assert np.isnan(found.bboxes[0]).all()
    assert found.bboxes[1].tolist() == [1, 2, 31, 62]


def test_other_categories_are_left_out(write: Callable) -> None:
    people = [dict(p, category_id=4) for p in PEOPLE]
    people.append(dict(image_id=5, bbox=[1, 1, 2, 2], category_id=9))
    people.append(dict(people[0], iscrowd=1))
    names = [dict(id=4, name='person'), dict(id=9, name='dog')]
    dataset = CocoPersonSearchDataset(
        **write(annotations=people, categories=names)
    )
    assert len(dataset.metainfo['search'].bboxes) == len(PEOPLE)


def broken_people() -> list[dict]:
    return [
        *PEOPLE,
        dict(image_id=77, bbox=[1, 2, 3, 4]),
        dict(image_id=5, bbox=[1, 2, 3]),
        dict(image_id=5, bbox=[1, 2, 3, 0]),
        dict(image_id=5, bbox=[1, 2, 3, 4], person_id='7'),
        dict(image_id=5, bbox=[1, 2, 3, 4], person_id=1.5),
        dict(image_id=5, bbox=[1, 2, 3, 4], person_id=True),
    ]


def test_faulty_annotations(write: Callable) -> None:
    with pytest.raises(DatasetError) as error:
        CocoPersonSearchDataset(**write(annotations=broken_people()))
    text = str(error.value)
    assert '6 faults' in text
    for part in (
        'annotations[5]: image_id is 77',
        'annotations[6]: bbox is [1, 2, 3]',
        "annotations[8]: person_id is '7'",
        'annotations[9]: person_id is 1.5',
        'annotations[10]: person_id is True',
        'frame x/a.jpg, box 3: (x1, y1, x2, y2) is (1, 2, 4, 2)',
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (dict(id=5, file_name='c.jpg'), 'image id 5 occurs twice'),
        (dict(id=6, file_name='b.jpg'), 'b.jpg is listed twice'),
        (dict(id=6), 'a file name'),
        (dict(id=6, file_name='c.jpg', camera_id='one'), 'camera_id'),
        (dict(id=6, file_name='c.jpg', timestamp='noon'), 'timestamp'),
        (dict(id=6, file_name='c.jpg', height=0, width=5), 'integers > 0'),
    ],
)
def test_faulty_image(write: Callable, image: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        CocoPersonSearchDataset(**write(images=[*IMAGES, image]))


@pytest.mark.parametrize(
    ('query', 'message'),
    [
        (dict(image_id=9, bbox=[1, 1, 2, 2], person_id=7), 'not in the test'),
        (dict(image_id=5, bbox=[1, 1, 2, 2], person_id=8), 'unknown person'),
        (dict(image_id=5, bbox=[1, 1, 2, 2], person_id=-1), 'unlabelled per'),
        (dict(image_id=5, bbox=[1, 1, 0, 2], person_id=7), 'x1 < x2'),
        (dict(image_id=5, bbox=[1, 1], person_id=7), 'query 0'),
        (dict(bbox=[1, 1, 2, 2], person_id=7), 'query 0'),
        (dict(image_id=5, bbox=[1, 1, 2, 2], person_id='7'), 'query 0'),
        ('text', 'query 0'),
    ],
)
def test_faulty_query(write: Callable, query: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        CocoPersonSearchDataset(**write(queries=[query]))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(image_ids=[5, 99]), '99'),
        (dict(splits=[0, 1, 3]), 'the last offset is 3'),
        (dict(rows=[2]), r'rows outside 0\.\.1'),
        (dict(bboxes=[]), '1 rows, but 0 bboxes'),
        (dict(bboxes=[[1, 1, 0, 3]]), 'without area'),
        (dict(queries=[0, 7]), r'queries outside 0\.\.1'),
        (dict(image_ids=None), 'TypeError'),
    ],
)
def test_faulty_gallery(write: Callable, change: dict, message: str) -> None:
    good = dict(
        splits=[0, 1, 2],
        image_ids=[5, 'b'],
        rows=[1],
        bboxes=[[1, 2, 30, 60]],
    )
    queries = dict(queries=QUERIES, galleries={'g': {**good, **change}})
    with pytest.raises(DatasetError, match=f"(?s)gallery 'g'.*{message}"):
        CocoPersonSearchDataset(**write(queries=queries))


@pytest.mark.parametrize('name', ['ann.json', 'query.json'])
@pytest.mark.parametrize('content', [None, '{"images": [', '"text"'])
def test_broken_json(
    write: Callable, tmp_path: Path, name: str, content: str | None
) -> None:
    options = write()
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=name):
        CocoPersonSearchDataset(**options)


def assert_same_split(native: Any, converted: Any) -> None:
    """Equal frames, people, queries and galleries."""
    assert len(native) == len(converted)
    for i in range(len(native)):
        left, right = native.get_data_info(i), converted.get_data_info(i)
        assert left.keys() == right.keys()
        for key in left.keys() - {'img_path'}:
            np.testing.assert_array_equal(left[key], right[key], key)
        assert Path(left['img_path']).samefile(right['img_path'])
    ids = 'raw_person_ids'
    assert native.metainfo[ids] == converted.metainfo[ids]
    if 'search' not in native.metainfo:
        return
    left, right = native.metainfo['search'], converted.metainfo['search']
    assert left.frame_names == right.frame_names
    for key in vars(left).keys() - {'frame_names', 'galleries'}:
        np.testing.assert_allclose(
            vars(left)[key], vars(right)[key], rtol=0, atol=1e-9, err_msg=key
        )
    assert list(left.galleries) == list(right.galleries)
    for name, gallery in left.galleries.items():
        for key, value in vars(gallery).items():
            np.testing.assert_array_equal(
                value, vars(right.galleries[name])[key]
            )
    assert fingerprint(left) == fingerprint(right)


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('kind', ['prw', 'cuhk', 'lsps'])
def test_round_trip(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, split: str
) -> None:
    root = request.getfixturevalue(f'write_{kind}')()
    make = dict(prw=PRWDataset, cuhk=CUHKSYSUDataset, lsps=LSPSDataset)[kind]
    native = make(root, split=split, read_sizes=True)
    out = tmp_path / 'coco'
    export_coco(native.load_table(), out / f'{split}.json', out / 'query.json')
    assert (out / 'query.json').exists() == (split == 'test')
    converted = CocoPersonSearchDataset(
        ann_file=f'{split}.json',
        query_file='query.json' if split == 'test' else '',
        data_root=str(out),
        data_prefix=native.data_prefix,
        split=split,
    )
    assert_same_split(native, converted)


def test_fingerprint_of_a_converted_data_set(
    write_prw: Callable, tmp_path: Path
) -> None:
    """Of decimals and of boxes with all digits."""
    rng = np.random.default_rng(0)
    rows = np.hstack([np.zeros((400, 1)), rng.uniform(1, 900, (400, 4))])
    rows[:, 0] = rng.integers(1, 30, 400)
    rows[::2, 1:] = rows[::2, 1:].round(2)
    rows[:50, 0] = np.arange(1, 51)  # no person twice among the queries
    frames = {f'c{i % 6 + 1}s1_{i:06d}': rows[i::40] for i in range(40)}
    queries = [
        (int(boxes[0, 0]), *boxes[0, 1:].tolist(), name)
        for name, boxes in frames.items()
    ]
    root = write_prw(test=frames, queries=queries, images=False)
    native = PRWDataset(root, split='test')
    truth = fingerprint(native.metainfo['search'])
    export_coco(
        native.load_table(), tmp_path / 'test.json', tmp_path / 'query.json'
    )
    converted = CocoPersonSearchDataset(
        ann_file='test.json',
        query_file='query.json',
        data_root=str(tmp_path),
        split='test',
    )
    assert fingerprint(converted.metainfo['search']) == truth
    assert truth['counts']['boxes'] == 400
    assert truth['counts']['queries'] == 40


def test_no_frame(write: Callable) -> None:
    with pytest.raises(DatasetError, match='no frame in it'):
        CocoPersonSearchDataset(**write(images=[], annotations=[]))


def test_cameras_and_times_are_exported(
    write: Callable, tmp_path: Path
) -> None:
    table = CocoPersonSearchDataset(**write()).load_table()
    export_coco(table, tmp_path / 'again.json', tmp_path / 'queries.json')
    first, second = json.loads((tmp_path / 'again.json').read_text())['images']
    assert first['camera_id'] == 2
    assert second['timestamp'] == 3.5
    assert 'timestamp' not in first
    assert 'camera_id' not in second
