"""Tests of valid JSON that no data set can mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmps.datasets import CocoPersonSearchDataset, DatasetError
from mmps.datasets.errors import FaultList
from mmps.datasets.json_files import read_json

NAN, INF = float('nan'), float('inf')
HUGE = 10**400
IMAGE = dict(id=1, file_name='a.jpg', width=120, height=100, camera_id=2)
PERSON = dict(image_id=1, category_id=1, bbox=[1, 2, 30, 60], person_id=7)
QUERY = dict(image_id=1, bbox=[1, 2, 30, 60], person_id=7)
GALLERY = dict(splits=[0, 1], image_ids=[1], rows=[0], bboxes=[[1, 2, 3, 4]])


@pytest.fixture
def load(tmp_path: Path):
    """Reads a test split; arguments replace its parts."""

    def read(
        image: dict | None = None,
        person: dict | None = None,
        query: Any = None,
        gallery: Any = None,
        **content: Any,
    ) -> CocoPersonSearchDataset:
        ann = dict(
            images=[{**IMAGE, **(image or {})}],
            annotations=[PERSON, {**PERSON, **(person or {})}],
            categories=[dict(id=1, name='person')],
        )
        queries = dict(
            queries=[{**QUERY, **(query or {})}],
            galleries={'g': {**GALLERY, **(gallery or {})}},
        )
        for key, value in content.items():
            (queries if key in queries else ann)[key] = value
        (tmp_path / 'ann.json').write_text(json.dumps(ann))
        (tmp_path / 'query.json').write_text(json.dumps(queries))
        return CocoPersonSearchDataset(
            'ann.json', 'query.json', str(tmp_path), split='test'
        )

    return read


def test_valid(load) -> None:
    assert len(load().metainfo['search'].bboxes) == 2


FAULTS = [
    ('image', 'id', [None, True, 1.5, [1], {}, NAN]),
    ('image', 'file_name', ['', None, 5, ['a'], 'a\0b', '\ud800']),
    ('image', 'width', [0, -1, 1.5, True, '9', 2**31, HUGE, [1]]),
    ('image', 'camera_id', [-2, 1.5, True, '1', None, 2**31, HUGE, {}]),
    ('image', 'timestamp', [NAN, INF, HUGE, '1', True, [1]]),
    ('person', 'image_id', [None, 2, '1', True, [1], {}, NAN, HUGE]),
    ('person', 'category_id', [None, 2, '1', True, [1], {}]),
    ('person', 'iscrowd', ['0', 2, 0.5, [], {}, 'no']),
    ('person', 'person_id', ['7', 7.0, True, [7], {}, NAN, 2**53, HUGE]),
    (
        'person',
        'bbox',
        [
            *(None, {}, 'box', [], [1, 2, 3], [1, 2, 3, 4, 5], [[1, 2, 3, 4]]),
            *([1, 2, 3, '4'], [1, 2, 3, None], [1, 2, 3, True], [NAN] * 4),
            *([1, 2, INF, 4], [1, 2, HUGE, 4], [1, 2, 1e39, 4], [1, 2, 0, 4]),
            *([1e9, 2, 3, 4], [1, 2, -3, -4]),
        ],
    ),
    ('query', 'image_id', [None, 2, '1', True, [1], {}, NAN, HUGE]),
    ('query', 'person_id', [None, -1, 8, '7', 7.0, True, [7], {}, HUGE]),
    (
        'query',
        'bbox',
        [
            *(None, {}, 'box', [1, 2, 3], [[1, 2], [3, 4]], ['1'] * 4),
            *([1, 2, 3, HUGE], [1, 2, NAN, 4], [1, 2, 1e39, 4], [1, 2, 0, 4]),
        ],
    ),
    ('gallery', 'splits', [None, [0], [1, 1], [0, 0.9], [0, HUGE], '01', {}]),
    ('gallery', 'image_ids', [None, '1', [2], [[1]], [True], {'1': 1}]),
    ('gallery', 'rows', [None, [1], [-1], [0.2], [True], ['0'], [HUGE], {}]),
    (
        'gallery',
        'bboxes',
        [
            *(None, [], [[1, 2, 3]], [['1', '2', '3', '4']], [1, 2, 3, 4]),
            *([[1, 2, HUGE, 4]], [[1, 2, 1e39, 4]], [[1, 2, NAN, 4]]),
            [[1, 2, -3, 4]],
        ],
    ),
    ('gallery', 'queries', [[1], [-1], [0.5], [True], ['0'], 0, {}]),
    ('gallery', 'rest_of_frames', ['false', 0, 1, None, [], 'yes']),
]


@pytest.mark.parametrize(
    ('part', 'key', 'value'),
    [(part, key, v) for part, key, values in FAULTS for v in values],
    ids=lambda value: f'{value!r:.20}',
)
def test_values_are_refused(load, part: str, key: str, value: Any) -> None:
    with pytest.raises(DatasetError):
        load(**{part: {key: value}})


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('images', {}),
        ('images', [1]),
        ('annotations', None),
        ('annotations', ['x']),
        ('categories', 'person'),
        ('categories', [1]),
        ('categories', [dict(id=[1], name='person')]),
        ('categories', [dict(id=1), dict(id=1, name='person')]),
        ('queries', 'all'),
        ('queries', [1]),
        ('queries', ['image_id']),
        ('galleries', [GALLERY]),
        ('galleries', {'g': [1]}),
        ('galleries', {'g': None}),
    ],
)
def test_lists_are_refused(load, key: str, value: Any) -> None:
    with pytest.raises(DatasetError):
        load(**{key: value})


def test_an_entry_twice(load) -> None:
    """The second box of an entry would replace the first."""
    with pytest.raises(DatasetError, match='listed twice'):
        load(gallery=dict(rows=[0, 0], bboxes=[[1, 2, 3, 4], [5, 6, 7, 8]]))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"a": 1, "b": {"c": 1, "d": 2, "c": 3}}', "the key 'c' twice"),
        ('[' * 100_000, 'nested too deeply'),
        ('[' * 100_000 + ']' * 100_000, 'nested too deeply'),
        ('{"a": ' + '9' * 10_000 + '}', 'cannot be read'),
        ('null', 'holds null'),
        ('', 'cannot be read'),
        ('{"a": 1}}', 'cannot be read'),
        ('\ufeff{}', 'cannot be read'),
    ],
)
def test_documents_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / 'a.json'
    path.write_text(text, encoding='utf-8')
    faults = FaultList('test')
    assert read_json(path, faults) is None
    assert str(path) in faults.lines[0]
    assert message in faults.lines[0]


def test_a_folder(tmp_path: Path) -> None:
    faults = FaultList('test')
    assert read_json(tmp_path, faults) is None
    assert 'cannot be read' in faults.lines[0]
