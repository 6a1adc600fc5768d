"""Tests of galleries in Milvus: folders, limits, and pages of a server."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mmps.gallery import (
    Filters,
    GalleryError,
    GalleryHeader,
    GalleryLockedError,
    create_gallery,
    engine_of,
    gallery_exists,
    open_gallery,
    stable_id,
)
from mmps.gallery.errors import (
    GalleryExistsError,
)
from mmps.utils.errors import UsageError

pytest.importorskip('pymilvus', reason='needs mmps[milvus]')
pytest.importorskip('milvus_lite', reason='needs mmps[milvus]')

from mmps.gallery import milvus, milvus_link, milvus_store  # noqa: E402
from mmps.gallery.milvus_schema import expression  # noqa: E402

DIM = 8
HEADER = GalleryHeader(DIM)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'g.db')


@pytest.fixture
def url(milvus_server, tmp_path):
    # Names in the server are as unique as those of the tests' folders.
    name = re.sub(r'\W', '_', f'{tmp_path.parent.name}_{tmp_path.name}')
    return f'{milvus_server}/{name}'


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


# -- folders of milvus-lite -----------------------------------------------

OPEN_THRICE = """
import sys
from mmps.gallery import open_gallery
for read_only in (True, True, False):
    sys.stdin.readline()
    try:
        with open_gallery(sys.argv[1], read_only) as gallery:
            print('has', len(gallery), flush=True)
    except Exception as err:
        print(type(err).__name__, err, flush=True)
"""


def test_one_process_per_folder(path, batch):
    gallery = create_gallery(path, HEADER)
    gallery.add(*batch(['a'], 3))
    other = subprocess.Popen(
        [sys.executable, '-c', OPEN_THRICE, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    print(file=other.stdin, flush=True)
    line = other.stdout.readline()
    assert line.startswith(f'GalleryLockedError {path}: another process')
    assert 'milvus-lite server --host 127.0.0.1' in line
    assert len(gallery) == 3
    gallery.close()
    output, errors = other.communicate('\n\n', timeout=60)
    assert output.splitlines() == ['has 3', 'has 3']
    assert errors == ''


def test_one_folder_twice_in_a_process(path, tmp_path, batch):
    first = create_gallery(path, HEADER)
    link = tmp_path / 'link.db'
    link.symlink_to(path)
    second = open_gallery(link)
    third = open_gallery(os.path.relpath(path), read_only=True)
    first.add(*batch(['a'], 2))
    second.add(*batch(['b'], 2))
    assert len(first) == len(second) == len(third) == 4
    first.close()
    first.close()
    second.add(*batch(['c'], 2))
    assert len(third) == 6
    second.close()
    assert len(third) == 6
    third.close()
    with pytest.raises(GalleryError, match='is closed'):
        len(third)
    with open_gallery(path) as again:
        assert len(again) == 6


def test_one_at_a_time_in_a_folder(path, batch):
    frames, rows = batch(['a'], 2)
    with create_gallery(path, HEADER) as first, open_gallery(path) as second:
        for action in (
            lambda: second.add(frames, rows),
            lambda: second.search(rows.embeddings, 1),
        ):
            thread = threading.Thread(target=action)
            with first._link.writing():
                thread.start()
                thread.join(0.2)
                assert thread.is_alive()
            thread.join()
        assert len(first) == 2


def test_what_is_no_gallery(path, tmp_path):
    file = tmp_path / 'old.db'
    file.write_bytes(b'milvus-lite 2')
    with pytest.raises(GalleryError, match='is a file'):
        open_gallery(file)
    with pytest.raises(GalleryExistsError):
        create_gallery(file, HEADER)
    assert file.read_bytes() == b'milvus-lite 2'
    (tmp_path / 'empty.db').mkdir()
    with pytest.raises(GalleryError, match='no whole gallery'):
        open_gallery(tmp_path / 'empty.db')
    create_gallery(tmp_path / 'new' / 'folders' / 'g.db', HEADER).close()


def test_a_folder_that_cannot_be_opened(tmp_path, capfd):
    folder = tmp_path / 'g.db'
    folder.mkdir()
    (folder / 'collections').write_text('a file')
    with pytest.raises(GalleryError, match='cannot open it') as error:
        open_gallery(folder)
    assert not isinstance(error.value, GalleryLockedError)
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('{"format": "mmps-gallery", "version": 2}', 'format version 2'),
        ('{"format": "other"}', 'is no gallery of mmps'),
        ('{"form', 'unreadable'),
        (None, 'unreadable'),
    ],
)
def test_header_of_another_kind(path, text, match):
    with create_gallery(path, HEADER) as gallery:
        store = gallery._store
        store.remove('header', [0])
        if text is not None:
            record = {'id': 0, 'json': text, 'vector': [1.0, 0.0]}
            store.write('header', [record])
    with pytest.raises(GalleryError, match=match) as error:
        open_gallery(path)
    assert path in str(error.value)
    assert gallery_exists(path)


def test_a_proxy_is_not_asked(path, monkeypatch):
    for name in ('http_proxy', 'https_proxy', 'grpc_proxy'):
        monkeypatch.setenv(name, f'http://127.0.0.1:{free_port()}')
    monkeypatch.delenv('no_proxy', raising=False)
    with create_gallery(path, HEADER) as gallery:
        assert len(gallery) == 0


# -- limits ---------------------------------------------------------------


def test_twenty_thousand_rows(path, batch, record_property):
    frames, rows = batch([f'f{i:04d}' for i in range(2000)], 10, dim=64)
    began = time.perf_counter()
    with create_gallery(path, GalleryHeader(64)) as gallery:
        gallery.add(frames, rows)
        added = time.perf_counter()
        queries = np.random.default_rng(1).normal(size=(50, 64))
        matches = gallery.search(queries, 20)
        searched = time.perf_counter()
        assert len(gallery) == 20_000
        gallery.persist()
        again = gallery.search(queries, 20)
        names = [frame.name for frame in gallery.list_frames(1500, 600)]
    record_property('add_seconds', round(added - began, 2))
    record_property('search_seconds', round(searched - added, 2))
    unit = rows.embeddings / np.linalg.norm(
        rows.embeddings, axis=1, keepdims=True
    )
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    sims = queries @ unit.T
    order = np.argsort(-sims, axis=1)[:, :20]
    for found in (matches, again):
        np.testing.assert_array_equal(found.ids, rows.ids[order])
        np.testing.assert_allclose(
            found.similarities, np.take_along_axis(sims, order, 1), atol=1e-6
        )
    assert names == [frame.name for frame in frames[1500:]]


def test_many_calls_give_the_same(path, batch, oracle, monkeypatch):
    monkeypatch.setattr(milvus_store, 'CALL_BYTES', 4 * 65535)
    monkeypatch.setattr(milvus, 'CALL_BYTES', 3 * 4 * DIM)
    monkeypatch.setattr(milvus, 'GROUP', 7)
    monkeypatch.setattr(milvus_store, 'GROUP', 7)
    monkeypatch.setattr(milvus_store.Store, 'page', lambda self, kind: 5)
    frames, rows = batch([f'{i}' for i in range(30)], 3)
    rows.embeddings[::2] = 1.0
    order = np.random.default_rng(0).permutation(90)
    rows = rows.take(order)
    with create_gallery(path, HEADER) as gallery:
        gallery.add(frames, rows)
        oracle.add(frames, rows)
        queries = np.random.default_rng(1).normal(size=(10, DIM))
        oracle.check(gallery, queries, 100)
        scanned = [i for part, _ in gallery.scan(13) for i in part.ids]
        assert scanned == oracle.in_order()
        assert gallery.get(rows.ids)[0].ids.tolist() == rows.ids.tolist()
        assert gallery.has_frames([f.name for f in frames]).all()
        gone = [f.name for f in frames[:20]]
        assert gallery.delete(frames=gone) == 60
        assert len(gallery) == 30


def test_pages_of_a_server(path, batch, monkeypatch):
    """Milvus proper has a limit, and is read with its iterator."""
    frames, rows = batch([f'{i}' for i in range(9)], 3)
    with create_gallery(path, HEADER) as gallery:
        gallery.add(frames, rows)
        store = gallery._store
        at_once = store.query('people', 'id >= 0', ['id', 'vector'])
        monkeypatch.setattr(gallery._link, 'lite', False)
        for page in (4, 9, 26, 27, 28):
            paged = store.query('people', 'id >= 0', ['id', 'vector'], page)
            assert len(paged) == 27
            paged = {row['id']: row['vector'] for row in paged}
            assert paged == {row['id']: row['vector'] for row in at_once}
        assert store.query('people', 'id == 5', ['id'], 4) == []


def test_order_is_not_that_of_milvus(path, batch, oracle, monkeypatch):
    frames, rows = batch(['b', 'c', 'a'], 5)
    rows.embeddings[3:12] = 1.0
    with create_gallery(path, HEADER) as gallery:
        gallery.add(frames, rows)
        oracle.add(frames, rows)
        call = gallery._link.call

        def backwards(method, *args, **kwargs):
            found = call(method, *args, **kwargs)
            if method == 'query':
                return list(found)[::-1]
            return [list(hits)[::-1] for hits in found]

        monkeypatch.setattr(gallery._link, 'call', backwards)
        oracle.check(gallery, np.ones((2, DIM)), 7)
        assert gallery.people_in('b').ids.tolist() == rows.ids[:5].tolist()
        scanned = [i for part, _ in gallery.scan(4) for i in part.ids]
        assert scanned == oracle.in_order()
        assert gallery.get(rows.ids)[0].ids.tolist() == rows.ids.tolist()


def test_many_equal_ones(path, batch):
    frames, rows = batch(['b', 'a'], [250, 10])
    rows.embeddings[:] = 1.0
    with create_gallery(path, HEADER) as gallery:
        gallery.add(frames, rows)
        for k in (1, 5, 251):
            matches = gallery.search(np.ones((2, DIM)), k)
            np.testing.assert_array_equal(matches.ids[1], rows.ids[:k])


def test_what_milvus_cannot_hold(path):
    for header, match in (
        (GalleryHeader(DIM, dtype='float16'), 'float16'),
        (GalleryHeader(1), '2 dimensions or more'),
    ):
        with pytest.raises(GalleryError, match=match):
            create_gallery(path, header)
        assert not os.path.exists(path)
    with create_gallery(path, HEADER) as gallery:
        assert gallery.search(np.ones((1, DIM)), 16384).ids.shape[1] == 16384
        with pytest.raises(GalleryError, match='16384'):
            gallery.search(np.ones((1, DIM)), 16385)


def test_no_string_gets_into_a_filter():
    text = '1" or "1"=="1'
    filters = Filters(
        cameras=[text, '\ud800'],
        exclude_cameras=[text],
        exclude_frames=[text],
        after=-1e-7,
        before=1e22,
        min_score=0.9,
    )
    code = expression(filters, {5, 3})
    number = stable_id(text)
    known = sorted([number, stable_id('\ud800')])
    assert code == (
        f'camera in {known} and camera not in [{number}] and '
        'timed == true and time >= -1e-07 and time < 1e+22 and '
        f'score >= {float(np.float32(0.9))!r} and '
        f'frame not in [3, 5, {number}]'
    )
    assert expression(None, set()) == ''
    assert expression(Filters(cameras=[]), ()) == 'camera in [-1]'


def test_extra_is_not_installed(path, monkeypatch):
    create_gallery(path, HEADER).close()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'milvus_lite.server_manager', None)
        with pytest.raises(UsageError, match=r'"mmps\[milvus\]"') as error:
            open_gallery(path)
        assert 'milvus_lite' in str(error.value)
    for name in list(sys.modules):
        if name.startswith('mmps.gallery.milvus'):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'pymilvus', None)
    for uri in (path, 'http://127.0.0.1:1/x'):
        with pytest.raises(UsageError, match=r'"mmps\[milvus\]"') as error:
            open_gallery(uri)
        assert 'needs pymilvus' in str(error.value)


def test_loggers_of_milvus_are_silent():
    for name in ('pymilvus.decorators', 'pymilvus.milvus_client.base'):
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


def test_engine_follows_from_the_uri(path, url):
    for uri in (path, url):
        assert engine_of(uri) == 'milvus'
        with create_gallery(uri, HEADER) as gallery:
            assert isinstance(gallery, milvus.MilvusGallery)
            assert gallery.concurrent_writers == (uri == url)


def test_header_is_stored_as_json(path):
    with create_gallery(path, HEADER) as gallery:
        found = gallery._store.fetch('header', [0], ['json'])
        data = json.loads(found[0]['json'])
    assert data == HEADER.to_json()
    assert milvus_link.parse_uri(path) == (os.path.realpath(path), 'mmps')
