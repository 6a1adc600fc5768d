"""Galleries of each engine, and frames with people for them."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from mmps.gallery import (
    Filters,
    Frame,
    GalleryHeader,
    GalleryRows,
    create_gallery,
    engine_of,
    stable_id,
)

# How the tests call each engine, and how its URIs end.
ENGINES = {'exact': '', 'milvus-lite': '.db', 'milvus-server': ''}
DIM = 8


def _start_server(folder) -> tuple[subprocess.Popen, str]:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    return _start_server_at(folder, port), f'http://127.0.0.1:{port}'


def _start_server_at(folder, port: int) -> subprocess.Popen:
    # By default it listens on every address.
    server = subprocess.Popen(
        [sys.executable, '-m', 'milvus_lite', 'server', '--host', '127.0.0.1']
        + ['--port', str(port), '--data-dir', str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return server
    server.kill()
    raise RuntimeError('milvus-lite server does not start')


def _stop_server(server: subprocess.Popen, url: str) -> None:
    server.kill()
    server.wait()
    # What writers take turns by.
    name = f'mmps-milvus-lite-{os.getuid()}-{url.rpartition(":")[2]}.lock'
    Path(tempfile.gettempdir(), name).unlink(missing_ok=True)


@pytest.fixture
def start_server():
    """Starts a server of its own on a folder; at its old port if given."""
    _needs_milvus()
    servers = []

    def start(folder, url=None):
        if url is None:
            server, url = _start_server(folder)
        else:
            server = _start_server_at(folder, int(url.rpartition(':')[2]))
        servers.append((server, url))
        return server, url

    yield start
    for server, url in servers:
        _stop_server(server, url)


@pytest.fixture(scope='session')
def milvus_server(tmp_path_factory):
    """URL of a server that all tests share."""
    _needs_milvus()
    server, url = _start_server(tmp_path_factory.mktemp('milvus'))
    yield url
    _stop_server(server, url)


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param.startswith('milvus'):
        _needs_milvus()
    return request.param


@pytest.fixture
def new_uri(engine, request, tmp_path):
    """Makes URIs where there is nothing yet."""
    server = ''
    if engine == 'milvus-server':
        server = request.getfixturevalue('milvus_server')

    def make():
        name = f't{uuid4().hex[:12]}'
        if engine == 'milvus-server':
            return f'{server}/{name}'
        return str(tmp_path / f'{name}{ENGINES[engine]}')

    uri, name = make(), engine.partition('-')[0]
    assert engine_of(uri) == name, f'{uri} is not opened by engine {name}'
    return make


@pytest.fixture
def gallery_uri(new_uri):
    return new_uri()


@pytest.fixture
def gallery(gallery_uri):
    """An empty gallery of 8 dimensions, open for writing."""
    with create_gallery(gallery_uri, GalleryHeader(DIM)) as gallery:
        yield gallery


@pytest.fixture
def batch():
    """Makes frames with people in them."""
    return make_batch


def make_batch(frames, num=2, dim=DIM, seed=0):
    """Frames, and ``num`` random people in each.

    Args:
        frames: Frames or their names.
        num: A number, or one for each frame.
        dim: D.
        seed: Of the random values.
    """
    frames = [f if isinstance(f, Frame) else Frame(f) for f in frames]
    nums = np.broadcast_to(num, len(frames))
    owner = np.repeat(np.arange(len(frames)), nums)
    ids = [
        stable_id(f'{frame.name}#{i}')
        for frame, count in zip(frames, nums)
        for i in range(count)
    ]
    rng = np.random.default_rng(seed)
    rows = GalleryRows(
        ids=np.array(ids, np.int64),
        frames=owner,
        bboxes=rng.uniform(0, 999, (len(ids), 4)),
        scores=rng.uniform(size=len(ids)),
        embeddings=rng.normal(size=(len(ids), dim)),
        tracks=rng.integers(-1, 9, len(ids)),
    )
    return frames, rows


class Oracle:
    """A gallery in a dict, and brute force in float64."""

    def __init__(self, metric='cosine'):
        self.metric = metric
        self.frames = {}
        self.rows = {}

    def add(self, frames, rows):
        for frame in frames:
            self.delete(frames=[frame.name])
        self.delete(rows.ids.tolist())
        self.frames.update((frame.name, frame) for frame in frames)
        for i in range(len(rows)):
            one = rows.take([i])
            self.rows[int(one.ids[0])] = (frames[one.frames[0]].name, one)

    def delete(self, ids=(), frames=()):
        gone = [
            i
            for i, (name, _) in self.rows.items()
            if i in ids or name in frames
        ]
        for i in gone:
            del self.rows[i]
        for name in frames:
            self.frames.pop(name, None)
        return len(gone)

    def passing(self, filters=None):
        f = filters or Filters()
        return [
            i
            for i, (name, row) in self.rows.items()
            for frame in [self.frames[name]]
            if (f.cameras is None or frame.camera in f.cameras)
            and frame.camera not in f.exclude_cameras
            and (f.after is None or frame.time >= f.after)
            and (f.before is None or frame.time < f.before)
            and (
                f.min_score is None
                or row.scores[0] >= _as_float32(f.min_score)
            )
            and name not in f.exclude_frames
            and (f.frames is None or name in f.frames)
        ]

    def search(self, queries, k, filters=None):
        ids = self.passing(filters)
        found = np.full((len(queries), k), -1)
        sims = np.full((len(queries), k), -np.inf)
        if ids:
            vectors = np.concatenate(
                [self.rows[i][1].embeddings for i in ids]
            ).astype(np.float64)
            queries = queries.astype(np.float64)
            if self.metric == 'cosine':
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                queries = queries / np.linalg.norm(
                    queries, axis=1, keepdims=True
                )
            # Unlike a matrix product it treats equal vectors the same.
            product = (queries[:, None] * vectors).sum(axis=-1)
            order = np.argsort(-product, axis=1, kind='stable')[:, :k]
            num = order.shape[1]
            found[:, :num] = np.array(ids)[order]
            sims[:, :num] = np.take_along_axis(product, order, axis=1)
        return found, sims

    def check(self, gallery, queries, k, filters=None):
        """Search a gallery, and compare what it finds."""
        matches = gallery.search(queries, k, filters)
        ids, sims = self.search(queries, k, filters)
        assert matches.ids.shape == matches.similarities.shape == sims.shape
        np.testing.assert_array_equal(matches.ids, ids)
        size = np.abs(sims[np.isfinite(sims)]).max(initial=1)
        np.testing.assert_allclose(
            matches.similarities, sims, 1e-5, 1e-6 * size
        )

    def in_order(self):
        """Ids by frame name, then in the order they were added."""
        names = sorted(self.frames)
        return [
            i for name in names for i, (at, _) in self.rows.items()
            if at == name
        ]  # fmt: skip


@pytest.fixture
def new_oracle():
    """Makes empty oracles."""
    return Oracle


@pytest.fixture
def oracle():
    return Oracle()


def _as_float32(score):
    with np.errstate(over='ignore'):
        return np.float32(score)


def _needs_milvus() -> None:
    pytest.importorskip('pymilvus', reason='needs mmps[milvus]')
    pytest.importorskip('milvus_lite', reason='needs mmps[milvus]')
