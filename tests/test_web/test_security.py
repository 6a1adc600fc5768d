"""Tests of access, leaks, and many requests at the same time."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from mmps.gallery import GalleryError, GalleryKeyError
from mmps.utils.errors import UsageError
from mmps.web import WebLimits, check_bind, create_app, is_loopback, run_server
from mmps.web.security import Guard

TOKEN = 'correct-horse-battery'
HOSTS = ['localhost', '127.0.0.1', '[::1]', '127.0.0.5', 'any.example']
PUBLIC = [
    '/', '/static/app.js', '/static/common.js', '/static/filters.js',
    '/static/picture.js', '/static/results.js', '/static/style.css',
    '/static/icon.svg',
]  # fmt: skip


@pytest.mark.parametrize(
    'path',
    [
        '/static/../app.py', '/static/..%2fapp.py', '/static/%2e%2e/app.py',
        '/static//etc/passwd', '/static/%2fetc%2fpasswd', '/static/',
        '/static',
        '/static/app.js/', '/static/app.js%00', '/static/index.html',
        '/static/....//app.py', '/static/..\\app.py', '/..%2f..%2fetc/passwd',
        '//etc/passwd', '/app.py', '/docs', '/redoc', '/openapi.json',
        '/api', '/api/', '/api/info/', '/API/info', '//api/info',
        '/api/frames/..%2f..%2fetc%2fpasswd/image',
        '/api/frames/%2e%2e/image', '/api/frames/../../etc/passwd',
        '/api/people/..%5c..%5cx/crop', '/api/uploads/%2fetc%2fpasswd/image',
        '/api/people/%00/crop', '/api/frames/1%00/image',
    ],
)  # fmt: skip
def test_traversal(client, path):
    # The client would tidy the path up; the server has to see it as it is.
    request = client.build_request('GET', '/')
    request.url = request.url.copy_with(raw_path=path.encode())
    response = client.send(request)
    assert response.status_code in (404, 422)
    assert set(response.json()) <= {'error', 'field'}


def test_page(client):
    page = client.get('/')
    assert page.headers['content-type'] == 'text/html; charset=utf-8'
    assert '<script type="module" src="/static/app.js">' in page.text
    for path in PUBLIC:
        response = client.get(path)
        assert response.status_code == 200
        # Nothing from elsewhere, nothing inline, nothing made of text.
        for bad in ('http://', 'https://', 'style="', 'onclick=', 'innerHTML',
                    'eval(', '@import'):  # fmt: skip
            assert bad not in response.text.replace(
                'http://www.w3.org/2000/svg', ''
            )


@pytest.mark.parametrize(
    ('method', 'path'),
    [('GET', '/'), ('GET', '/static/app.js'), ('GET', '/api/info'),
     ('GET', '/nothing'), ('PUT', '/'), ('POST', '/api/search')],
)  # fmt: skip
def test_headers(client, method, path):
    headers = client.request(method, path).headers
    policy = headers['content-security-policy']
    assert "default-src 'none'" in policy
    assert 'unsafe' not in policy
    assert headers['x-content-type-options'] == 'nosniff'
    assert headers['referrer-policy'] == 'no-referrer'
    assert headers['cross-origin-resource-policy'] == 'same-origin'
    assert 'cache-control' in headers
    assert not [name for name in headers if name.startswith('access-control')]


@pytest.mark.parametrize(
    'host',
    ['localhost', 'LOCALHOST:80', '127.0.0.1:8008', '[::1]', '[::1]:8008'],
)
def test_hosts_of_loopback(client, host):
    assert client.get('/api/info', headers={'host': host}).status_code == 200


@pytest.mark.parametrize(
    'host',
    ['evil.example', 'evil.example:8008', 'localhost.evil.example', '',
     '127.0.0.1.evil.example', 'localhost:evil', 'localhost:80:80', '::1',
     '[::1', 'evil@localhost', '0.0.0.0', '192.168.1.5:8008'],
)  # fmt: skip
def test_other_hosts(client, host):
    for path in ('/', '/api/info', '/static/app.js'):
        response = client.get(path, headers={'host': host})
        assert response.status_code == 400
        assert response.json() == {'error': 'unknown host', 'field': 'Host'}


def test_two_hosts(client):
    headers = [('host', 'localhost'), ('host', 'evil.example')]
    assert client.get('/api/info', headers=headers).status_code == 400


def test_testserver_is_not_answered_by_default(world, make_client):
    client = make_client(world, allowed_hosts=None)
    assert client.get('/api/info').status_code == 400


@pytest.mark.parametrize(
    'headers',
    [
        {'origin': 'http://evil.example'},
        {'origin': 'null'},
        {'origin': 'http://testserver:81'},
        {'origin': 'http://['},
        {'origin': ''},
        {'sec-fetch-site': 'cross-site'},
        {'sec-fetch-site': 'same-site'},
        {'sec-fetch-site': 'cross-site', 'origin': 'http://testserver'},
    ],
)
def test_posts_of_other_sites(client, world, picture, headers):
    body = {'queries': [{'person': next(iter(world.who))}]}
    for response in (
        client.post('/api/uploads', content=picture, headers=headers),
        client.post('/api/search', json=body, headers=headers),
    ):
        assert response.status_code == 403
        assert 'another site' in response.json()['error']


def test_posts_of_the_page(client, picture):
    for headers in (
        {'origin': 'http://testserver', 'sec-fetch-site': 'same-origin'},
        {'origin': 'https://testserver'},  # behind a proxy that does TLS
        {'sec-fetch-site': 'none'},
    ):
        response = client.post(
            '/api/uploads', content=picture, headers=headers
        )
        assert response.status_code == 201


def test_pictures_are_not_shown_by_other_sites(client, world):
    frame = world.gallery.list_frames()[0].id
    headers = {'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image'}
    path = f'/api/frames/{frame}/image'
    assert client.get(path, headers=headers).status_code == 403
    # Links to the page do work.
    assert client.get('/', headers=headers).status_code == 200


def test_token(world, make_client, picture):
    client = make_client(world, token=TOKEN)
    right = {'authorization': f'Bearer {TOKEN}'}
    paths = ['/api/info', '/api/frames', '/api/frames/1/image', '/nothing',
             '/api/openapi.json', '/api/people/1/crop']  # fmt: skip
    for path in paths:
        for given in (
            None, '', 'Bearer', 'Bearer ', f'Basic {TOKEN}', TOKEN,
            f'Bearer {TOKEN}x', f'Bearer {TOKEN[:-1]}', f'Bearer x {TOKEN}',
            'Bearer ü'.encode(), b'Bearer \xff',
        ):  # fmt: skip
            headers = {} if given is None else {'authorization': given}
            response = client.get(path, headers=headers)
            assert response.status_code == 401, (path, given)
            assert response.headers['www-authenticate'] == 'Bearer'
        assert client.get(path, headers=right).status_code != 401
    assert client.get(f'/api/info?token={TOKEN}').status_code == 401
    assert client.post('/api/uploads', content=picture).status_code == 401
    response = client.post('/api/uploads', content=picture, headers=right)
    assert response.status_code == 201
    lower = {'authorization': f'bearer {TOKEN}'}
    assert client.get('/api/info', headers=lower).status_code == 200
    for path in PUBLIC:
        assert client.get(path).status_code == 200
    description = client.get('/api/openapi.json', headers=right).json()
    assert description['components']['securitySchemes']


def test_bodies_of_strangers_are_not_looked_at(world, make_client):
    client = make_client(world, token=TOKEN)
    for path in ('/api/search', '/api/uploads'):
        response = client.post(path, content=bytes(30 * 2**20))
        assert response.status_code == 401


@pytest.mark.parametrize(
    ('host', 'loopback'),
    [('127.0.0.1', True), ('127.8.9.1', True), ('localhost', True),
     ('::1', True), ('[::1]', True), ('0.0.0.0', False), ('::', False),
     ('', False), ('192.168.0.2', False), ('example.org', False),
     ('127.0.0.1.example.org', False), ('127.1', False)],
)  # fmt: skip
def test_check_bind(host, loopback):
    assert is_loopback(host) is loopback
    check_bind(host, TOKEN)
    if loopback:
        check_bind(host, None)
        return
    with pytest.raises(UsageError, match='expected a token'):
        check_bind(host, None)


@pytest.mark.parametrize('token', ['', ' ', 'two words', 'über', 'new\nline'])
def test_tokens_that_fit_no_header(world, token):
    for call in (
        lambda: check_bind('127.0.0.1', token),
        lambda: create_app(world.searcher, world.gallery, token),
    ):
        with pytest.raises(UsageError, match='token: expected printable'):
            call()


def test_nobody_serves_everybody(world):
    with pytest.raises(UsageError, match='expected a token'):
        create_app(world.searcher, world.gallery, allowed_hosts=['*'])
    for host, port in (('0.0.0.0', 8008), ('127.0.0.1', 0)):
        with pytest.raises(UsageError):
            run_server(world.searcher, world.gallery, host, port)


@pytest.mark.parametrize(
    ('host', 'token', 'answered'),
    [
        ('127.0.0.1', None, HOSTS[:3]),
        ('127.0.0.5', None, HOSTS[:4]),
        ('::1', TOKEN, HOSTS[:3]),
        ('0.0.0.0', TOKEN, HOSTS),
    ],
)
def test_serve(world, monkeypatch, host, token, answered):
    ran = {}
    monkeypatch.setattr(
        'uvicorn.run', lambda app, **options: ran.update(options, app=app)
    )
    run_server(world.searcher, world.gallery, host, 8123, token)
    assert (ran['host'], ran['port']) == (host, 8123)
    # Nobody may say through a header who they are.
    assert ran['proxy_headers'] is False
    for name in HOSTS:
        status = status_of(ran['app'], name, token)
        assert status == (200 if name in answered else 400)


def status_of(app, host: str, token: str | None) -> int:
    from fastapi.testclient import TestClient

    headers = {'host': f'{host}:8123', 'authorization': f'Bearer {token}'}
    return TestClient(app).get('/api/info', headers=headers).status_code


def test_errors_do_not_leak(painted, make_client, picture, caplog):
    world = painted(1)
    client = make_client(world)
    row = next(iter(world.who))

    def broken(*_, **__):
        raise ValueError('/srv/secret/weights.pth: no such file')

    key = client.post('/api/uploads', content=picture).json()['id']
    world.searcher.detect = world.searcher.embed = broken
    world.searcher.search_embeddings = world.searcher.frame_image = broken
    box = {'upload': key, 'bbox': [0, 0, 50, 50]}
    answers = [
        client.post('/api/uploads', content=picture),
        client.post('/api/search', json={'queries': [box]}),
        client.post('/api/search', json={'queries': [{'person': row}]}),
        client.get(f'/api/people/{row}/crop'),
    ]
    for answer in answers:  # make_client looks at the text as well
        assert answer.status_code == 500
        assert answer.json() == {'error': 'internal error'}
        assert answer.headers['x-content-type-options'] == 'nosniff'
    assert [record.levelname for record in caplog.records] == ['ERROR'] * 4
    assert 'weights.pth' in caplog.text


def test_rows_that_are_gone_when_they_were_found(client, world, monkeypatch):
    body = {'queries': [{'person': next(iter(world.who))}]}
    real, left = world.gallery.search, [2]

    def search(*args, **kwargs):
        left[0] -= 1
        if left[0] >= 0:
            raise GalleryKeyError('no row 7')
        return real(*args, **kwargs)

    monkeypatch.setattr(world.gallery, 'search', search)
    assert client.post('/api/search', json=body).status_code == 200
    left[0] = 99
    assert client.post('/api/search', json=body).status_code == 503
    # It is the searcher that tries again, and nobody else.
    assert 99 - left[0] == 4


def test_pictures_with_nothing_in_common(client, world, picture, monkeypatch):
    vectors = [np.ones((1, 8), np.float32), -np.ones((1, 8), np.float32)]
    key = client.post('/api/uploads', content=picture).json()['id']
    monkeypatch.setattr(world.searcher, 'embed', lambda *_: vectors.pop())
    box = {'upload': key, 'bbox': [0, 0, 50, 50]}
    response = client.post('/api/search', json={'queries': [box, box]})
    assert response.status_code == 422
    assert response.json()['field'] == 'queries'
    assert 'nothing in common' in response.json()['error']


def test_failure_of_the_gallery_is_no_fault_of_the_client(
    client, world, monkeypatch
):
    def search(*_, **__):
        raise GalleryError('/srv/secret: 00012.npz is missing')

    monkeypatch.setattr(world.gallery, 'search', search)
    body = {'queries': [{'person': next(iter(world.who))}]}
    response = client.post('/api/search', json=body)
    assert response.status_code == 500
    assert response.json() == {'error': 'internal error'}


class Slow:
    """Stands in for a method of the searcher and takes its time."""

    def __init__(self, work) -> None:
        self.work = work
        self.inside = self.most = 0
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, *args):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        self.go.wait(20)
        self.inside -= 1
        return self.work(*args)


@pytest.fixture
def slow(painted, make_client):
    """A client of one event loop, with a model that waits for ``go``."""

    def make(**limits):
        world = painted(6)
        slow = world.searcher.detect = Slow(world.searcher.detect)
        client = make_client(world, limits=WebLimits(**limits))
        return SimpleNamespace(client=client, model=slow, world=world)

    return make


def test_server_answers_while_the_model_works(slow, picture):
    made = slow()
    person = {'person': next(iter(made.world.who))}
    with made.client as client, ThreadPoolExecutor(2) as pool:
        sent = pool.submit(client.post, '/api/uploads', content=picture)
        assert made.model.entered.wait(10)
        start = time.perf_counter()
        assert client.get('/api/info').status_code == 200
        response = client.post('/api/search', json={'queries': [person]})
        assert response.status_code == 200
        assert time.perf_counter() - start < 5
        assert not sent.done()
        made.model.go.set()
        assert sent.result().status_code == 201


def test_model_does_one_thing_at_a_time(slow, picture):
    made = slow(model_waiting=2, waiting_seconds=20)
    with made.client as client, ThreadPoolExecutor(6) as pool:
        sent = [
            pool.submit(client.post, '/api/uploads', content=picture)
            for _ in range(6)
        ]
        # One inside and two who wait; the others are told at once.
        while sum(task.done() for task in sent) < 3:
            time.sleep(0.01)
        made.model.go.set()
        answers = [task.result() for task in sent]
    assert made.model.most == 1
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * 3 + [503] * 3
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert busy.headers['retry-after'] == '1'


def test_nobody_waits_for_ever(slow, picture):
    made = slow(waiting_seconds=0.1)
    with made.client as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, '/api/uploads', content=picture)
        assert made.model.entered.wait(10)
        second = client.post('/api/uploads', content=picture)
        assert second.status_code == 503
        made.model.go.set()
        assert first.result().status_code == 201
        again = client.post('/api/uploads', content=picture)
        assert again.status_code == 201


def test_body_that_never_ends(world):
    limits = WebLimits(body_seconds=0.2)
    app = create_app(world.searcher, world.gallery, limits=limits)
    sent = []

    async def drip():
        await asyncio.sleep(0.05)
        return {'type': 'http.request', 'body': b'\xff', 'more_body': True}

    async def send(message):
        sent.append(message)

    scope = {
        'type': 'http', 'method': 'POST', 'path': '/api/uploads',
        'raw_path': b'/api/uploads', 'query_string': b'', 'scheme': 'http',
        'headers': [(b'host', b'localhost')], 'http_version': '1.1',
        'server': ('localhost', 80), 'client': ('127.0.0.1', 1),
        'root_path': '', 'asgi': {'version': '3.0'},
    }  # fmt: skip
    start = time.perf_counter()
    asyncio.run(app(scope, drip, send))
    assert time.perf_counter() - start < 5
    assert sent[0]['status'] == 408


def test_searches_while_frames_are_added(painted, make_client, add_more):
    world = painted(6)
    people = dict(world.who)
    done = threading.Event()
    failures = []

    def write():
        try:
            for start in range(6, 60, 3):
                add_more(world, 3, start)
        except Exception as err:
            failures.append(err)
        finally:
            done.set()

    def read(row):
        answers, seen = [], 0
        while not done.is_set() or len(answers) < 3:
            body = {'queries': [{'person': row}], 'k': 100}
            answer = client.post('/api/search', json=body)
            answers.append(answer.status_code)
            matches = answer.json()['matches']
            assert world.who[matches[0]['id']] == people[row]
            # What was found once is found again.
            assert len(matches) >= seen
            seen = len(matches)
            frame = matches[-1]['frame']['id']
            answers.append(client.get(f'/api/frames/{frame}/people'))
            answers[-1] = answers[-1].status_code
        return answers

    rows = [next(r for r, w in people.items() if w == who) for who in range(3)]
    with make_client(world) as client, ThreadPoolExecutor(4) as pool:
        writing = pool.submit(write)
        for statuses in pool.map(read, rows):
            assert set(statuses) == {200}
        writing.result()
    assert failures == []
    assert world.gallery.count() == len(world.who) > 3 * len(people)


def test_frame_that_goes_between_two_steps(client, world, monkeypatch):
    def gone(name, embeddings=False):
        raise GalleryKeyError(f'no frame {name}')

    frame = world.gallery.list_frames()[0]
    monkeypatch.setattr(world.gallery, 'people_in', gone)
    response = client.get(f'/api/frames/{frame.id}/people')
    assert response.status_code == 404
    assert response.json()['error'] == 'no such frame'


def test_error_after_the_response_has_begun():
    """Nothing can be sent any more: the server has to break off."""

    async def broken(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200,
                    'headers': []})  # fmt: skip
        raise RuntimeError('too late')

    async def receive():
        return {'type': 'http.request', 'body': b'', 'more_body': False}

    sent = []

    async def send(message):
        sent.append(message['type'])

    guard = Guard(broken, None, ['localhost'], ['/'], WebLimits())
    scope = {
        'type': 'http', 'method': 'GET', 'path': '/',
        'headers': [(b'host', b'localhost')],
    }  # fmt: skip
    with pytest.raises(RuntimeError, match='too late'):
        asyncio.run(guard(scope, receive, send))
    assert sent == ['http.response.start']
