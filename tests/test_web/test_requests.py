"""Tests of the API's answers to wrong requests."""

import json

import numpy as np
import pytest

from mmps.web.errors import ApiError, error_response

NAN, INF = float('nan'), float('inf')
JSON = {'content-type': 'application/json'}


@pytest.fixture(scope='module')
def person(world) -> dict:
    return {'person': next(iter(world.who))}


@pytest.fixture(scope='module')
def refused(client):
    """Posts a search, returns the field that is complained of."""

    def post(body, status: int = 422) -> str:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        response = client.post('/api/search', content=data, headers=JSON)
        assert response.status_code == status, response.text
        answer = response.json()
        assert set(answer) <= {'error', 'field'}
        assert 0 < len(answer['error']) < 200
        return answer.get('field', '')

    return post


@pytest.mark.parametrize(
    'row', ['0', '7', str(2**63 - 1), str(2**63), '9' * 19]
)
def test_unknown_ids(client, refused, row):
    for path in (
        f'frames/{row}/image', f'frames/{row}/people', f'people/{row}/crop'
    ):  # fmt: skip
        response = client.get(f'/api/{path}')
        assert response.status_code == 404
        assert set(response.json()) == {'error', 'field'}
    assert refused({'queries': [{'person': row}]}, 404) == 'queries.0.person'
    frame = {'frame': row, 'bbox': [0, 0, 9, 9]}
    assert refused({'queries': [frame]}, 404) == 'queries.0.frame'


@pytest.mark.parametrize(
    'row',
    ['-1', 'x', '1.0', '1e3', '0x1', ' 1', '1 ', '1\n', '+1', '9' * 20, '',
     '1_0', '\u0661', 'null', '1;2', "1'--", '\0'],
)  # fmt: skip
def test_what_is_no_id(client, refused, row):
    from urllib.parse import quote

    for path in (f'people/{quote(row)}/crop', f'frames/{quote(row)}/people'):
        assert client.get(f'/api/{path}').status_code in (404, 422)
    assert refused({'queries': [{'person': row}]}) == 'queries.0.person'
    upload = {'upload': row, 'bbox': [0, 0, 9, 9]}
    assert refused({'queries': [upload]}) == 'queries.0.upload'


@pytest.mark.parametrize('row', [1, 1.5, True, None, [], {}, 2**70])
def test_ids_are_strings_only(refused, row):
    assert refused({'queries': [{'person': row}]}) == 'queries.0.person'


def test_unknown_upload(client, refused):
    key = 'A' * 22
    assert client.get(f'/api/uploads/{key}/image').status_code == 404
    query = {'upload': key, 'bbox': [0, 0, 9, 9]}
    assert refused({'queries': [query]}, 404) == 'queries.0.upload'
    for bad in ('A' * 21, 'A' * 23, 'A' * 21 + '/', '..%2f..'):
        status = client.get(f'/api/uploads/{bad}/image').status_code
        assert status in (404, 422)


@pytest.mark.parametrize(
    ('options', 'field'),
    [
        ({'k': 0}, 'k'),
        ({'k': -1}, 'k'),
        ({'k': 1001}, 'k'),
        ({'k': 10**400}, 'k'),
        ({'k': 2.5}, 'k'),
        ({'k': '20'}, 'k'),
        ({'k': True}, 'k'),
        ({'k': NAN}, 'k'),
        ({'k': None}, 'k'),
        ({'expand': 101}, 'expand'),
        ({'expand': -1}, 'expand'),
        ({'rerank': 'yes'}, 'rerank'),
        ({'rerank': 1}, 'rerank'),
        ({'threshold': NAN}, 'threshold'),
        ({'threshold': -INF}, 'threshold'),
        ({'threshold': '0.5'}, 'threshold'),
        ({'threshold': 10**400}, 'threshold'),
        ({'filters': None}, 'filters'),
        ({'filters': []}, 'filters'),
        ({'filters': {'after': NAN}}, 'filters.after'),
        ({'filters': {'before': INF}}, 'filters.before'),
        ({'filters': {'after': 2, 'before': 1}}, 'filters'),
        ({'filters': {'after': 2, 'before': 2}}, 'filters'),
        ({'filters': {'min_score': 1.01}}, 'filters.min_score'),
        ({'filters': {'min_score': NAN}}, 'filters.min_score'),
        ({'filters': {'cameras': 'hall'}}, 'filters.cameras'),
        ({'filters': {'cameras': [1]}}, 'filters.cameras.0'),
        ({'filters': {'cameras': ['\ud800']}}, 'filters.cameras.0'),
        ({'filters': {'cameras': ['x' * 4097]}}, 'filters.cameras.0'),
        ({'filters': {'cameras': ['x'] * 1001}}, 'filters.cameras'),
        ({'filters': {'exclude_cameras': None}}, 'filters.exclude_cameras'),
        ({'filters': {'exclude_frames': ['x']}}, 'filters.exclude_frames'),
        ({'filters': {'path': '/etc'}}, 'filters.path'),
        ({'unknown': 1}, 'unknown'),
        ({'x' * 5000: 1}, 'x' * 100),
        ({'\ud800': 1}, 'body'),
    ],
)
def test_values(refused, person, options, field):
    assert refused({'queries': [person], **options}) == field


@pytest.mark.parametrize(
    'queries',
    [
        None, [], {}, 'x', [None], [[]], ['1'], [{}], [{'bbox': [0, 0, 1, 1]}],
        [{'path': '/etc/passwd'}],
    ],
)  # fmt: skip
def test_queries(refused, queries):
    assert refused({'queries': queries}).startswith('queries')


def test_queries_in_detail(refused, person):
    assert refused({'queries': [person] * 17}) == 'queries'
    both = {**person, 'frame': '1', 'bbox': [0, 0, 9, 9]}
    assert refused({'queries': [person, both]}).startswith('queries.1')
    assert refused({'queries': [{**person, 'x': 1}]}) == 'queries.0.x'
    assert refused({}) == 'queries'
    assert refused([]) == 'body'
    assert refused('1') == 'body'


BOXES = [
    [],
    [0, 0, 50],
    [0, 0, 50, 50, 50],
    'box',
    None,
    [0, 0, 50, 'x'],
    [0, 0, 50, None],
    [0, 0, 50, True],
    [NAN, 0, 50, 50],
    [0, 0, INF, 50],
    [0, 0, 1e300, 50],
    [50, 0, 50, 50],
    [50, 50, 10, 90],
    [0, 0, 50, 1],
    [-20, 0, 50, 50],
    [0, 0, 641.5, 50],
    [0, 300, 50, 380],
    [700, 400, 800, 500],
    [-100, -100, -50, -50],
    [1e5, 1e5, 2e5, 2e5],
]


@pytest.mark.parametrize('box', BOXES, ids=str)
def test_boxes(client, refused, world, picture, box):
    key = client.post('/api/uploads', content=picture).json()['id']
    frame = world.gallery.list_frames()[0]
    for query in ({'upload': key}, {'frame': str(frame.id)}):
        field = refused({'queries': [{**query, 'bbox': box}]})
        assert field.startswith('queries.0.bbox')


def test_boxes_may_leave_the_picture_by_rounding(client, picture):
    key = client.post('/api/uploads', content=picture).json()['id']
    for box in (
        [-1, -1, 641, 361],
        [0, 0, 640, 360],
        [0.5, 0, 3, 2.5],
        # A little less than 2 pixels in single precision.
        [0.1, 0.1, 2.1, 2.1],
    ):
        query = {'upload': key, 'bbox': box}
        response = client.post('/api/search', json={'queries': [query]})
        assert response.status_code == 200


@pytest.mark.parametrize(
    'body',
    [
        b'', b'{', b'\xff\xfe', b'null', b'"x"', b'[' * 100_000,
        b'{"queries":' + b'[' * 50_000 + b']' * 50_000 + b'}',
        b'{"queries": [{"person": "1"}], "k": ' + b'9' * 5000 + b'}',
        b'{"queries": [{"person": "1"}], "threshold": 1e999}',
        b'{"queries": [{"person": "1"}], "threshold": NaN}',
        b'{"queries": [{"person": "1"}], "threshold": -Infinity}',
    ],
)  # fmt: skip
def test_bodies(client, body):
    response = client.post('/api/search', content=body, headers=JSON)
    assert response.status_code in (400, 422)
    assert response.json()['error']


def test_body_has_to_be_json(client, person):
    body = json.dumps({'queries': [person]})
    for kind in ('text/plain', 'application/x-www-form-urlencoded', None):
        headers = {'content-type': kind} if kind else {}
        response = client.post('/api/search', content=body, headers=headers)
        assert response.status_code == 422


def test_large_body(client, person):
    body = json.dumps({'queries': [person]}) + ' ' * 2**20

    def pieces():
        yield body.encode()

    for content in (body, pieces()):
        response = client.post('/api/search', content=content, headers=JSON)
        assert response.status_code == 413


@pytest.mark.parametrize(
    'query',
    ['offset=-1', 'offset=x', 'offset=1e3', 'offset=99999999999999999999',
     'limit=0', 'limit=501', 'limit=NaN', 'limit='],
)  # fmt: skip
def test_pages(client, query):
    response = client.get(f'/api/frames?{query}')
    assert response.status_code == 422
    assert response.json()['field'] == query.partition('=')[0]


@pytest.mark.parametrize('side', ['0', '15', '-5', '8193', 'x', '1e9'])
def test_sides(client, world, side):
    frame = world.gallery.list_frames()[0].id
    response = client.get(f'/api/frames/{frame}/image?max_side={side}')
    assert response.status_code == 422
    assert response.json()['field'] == 'max_side'


def test_methods(client):
    for method in ('PUT', 'DELETE', 'PATCH', 'TRACE', 'POST'):
        response = client.request(method, '/api/info')
        assert response.status_code == 405
        assert response.headers['allow'] == 'GET'
        assert response.json() == {'error': 'method not allowed'}


def test_error_with_what_utf8_cannot_hold():
    response = error_response(ApiError(422, 'odd', '\ud800'))
    assert json.loads(response.body) == {'error': 'odd', 'field': '\ud800'}


@pytest.mark.parametrize('value', [0.0, NAN, INF])
def test_embedding_that_says_nothing(
    client, world, picture, monkeypatch, refused, value
):
    key = client.post('/api/uploads', content=picture).json()['id']
    monkeypatch.setattr(
        world.searcher, 'embed', lambda *_: np.full((1, 8), value, np.float32)
    )
    query = {'upload': key, 'bbox': [1, 1, 99, 99]}
    assert refused({'queries': [query]}) == 'queries.0'
