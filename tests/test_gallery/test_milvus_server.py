"""Tests of galleries on a Milvus server."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

from mmps.gallery import (
    GalleryError,
    GalleryHeader,
    create_gallery,
    gallery_exists,
    open_gallery,
)

pytestmark = pytest.mark.slow

pytest.importorskip('pymilvus', reason='needs mmps[milvus]')
pytest.importorskip('milvus_lite', reason='needs mmps[milvus]')

from mmps.gallery.milvus_link import TOKEN, parse_uri  # noqa: E402

DIM = 8
HEADER = GalleryHeader(DIM)


@pytest.fixture
def nobody():
    """A URL where nobody listens."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'http://127.0.0.1:{probe.getsockname()[1]}'


def test_uris():
    assert parse_uri('http://h:1') == ('http://h:1', 'mmps')
    assert parse_uri('http://h:1/') == ('http://h:1', 'mmps')
    assert parse_uri('https://h/_My_9') == ('https://h', '_My_9')
    for bad in (
        'http://h:1/9a',
        'http://h:1/a-b',
        'http://h:1/a/b',
        'http://h:1/a"',
        'http://h:1/' + 'a' * 201,
        'http://h:1/ä',
        'http://h:1/a?db=b',
        'http://h:1/a#b',
        'http://h:port/a',
        'http://h:0/a',
        'http:///a',
    ):
        with pytest.raises(GalleryError, match='expected'):
            parse_uri(bad)


def test_galleries_on_one_server_do_not_mix(milvus_server, batch):
    with (
        create_gallery(f'{milvus_server}/mix', HEADER) as one,
        create_gallery(f'{milvus_server}/mix_2', GalleryHeader(4)) as two,
    ):
        one.add(*batch(['a'], 3))
        two.add(*batch(['b'], 2, dim=4))
        assert len(one) == 3
        assert len(two) == 2
        assert not two.has_frames(['a']).any()
    assert gallery_exists(f'{milvus_server}/mix')
    assert not gallery_exists(f'{milvus_server}/mi')


def test_server_listens_on_loopback_only(milvus_server):
    port = int(milvus_server.rpartition(':')[2])
    socket.create_connection(('127.0.0.1', port), 1).close()
    # Linux answers at all of 127.* where it listens at every address.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.2', port), 1)


def test_no_server(nobody, monkeypatch, capfd):
    monkeypatch.setenv(TOKEN, 'root:hunter2')
    for action in (
        lambda: open_gallery(f'{nobody}/a'),
        lambda: create_gallery(f'{nobody}/a', HEADER),
        lambda: gallery_exists(f'{nobody}/a'),
    ):
        began = time.monotonic()
        with pytest.raises(GalleryError) as error:
            action()
        assert time.monotonic() - began < 5
        text = str(error.value)
        assert text == f'{nobody}/a: no Milvus server answers there'
        whole = ''.join(traceback.format_exception(error.value))
        assert 'hunter2' not in whole
    assert capfd.readouterr() == ('', '')


def test_something_that_never_answers(monkeypatch):
    monkeypatch.setattr('mmps.gallery.milvus_link._CONNECT_TIMEOUT', 0.5)
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        url = f'http://127.0.0.1:{silent.getsockname()[1]}/a'
        began = time.monotonic()
        with pytest.raises(GalleryError, match=f'{url}: no Milvus server'):
            open_gallery(url)
        assert time.monotonic() - began < 4


def test_passwords_do_not_belong_in_urls(nobody):
    url = nobody.replace('//', '//root:hunter2@')
    with pytest.raises(GalleryError, match=TOKEN) as error:
        open_gallery(f'{url}/a')
    assert 'hunter2' not in ''.join(traceback.format_exception(error.value))


def test_token_is_kept_out_of_messages(milvus_server, monkeypatch):
    monkeypatch.setenv(TOKEN, 'root:hunter2')
    with create_gallery(f'{milvus_server}/token', HEADER) as gallery:
        # A server that repeats what it was sent.
        with pytest.raises(GalleryError) as error:
            gallery._link.call('query', 'no_hunter2_here')
        assert 'hunter2' not in str(error.value)
        assert '***' in str(error.value)
        assert 'hunter2' not in str(gallery.info())
    assert 'hunter2' not in gallery.uri


def test_writers_of_one_machine_take_turns(milvus_server, batch):
    """milvus-lite alone loses rows that several add at once."""
    uri = f'{milvus_server}/turns'
    with create_gallery(uri, HEADER) as first, open_gallery(uri) as second:
        thread = threading.Thread(target=second.add, args=batch(['a'], 2))
        with first._link.writing():
            thread.start()
            thread.join(0.2)
            assert thread.is_alive()
            assert len(second) == 0
        thread.join()
        assert len(first) == 2


# Importing takes most of the time, so they are forked after it.
ADD_200 = """
import os, sys
import numpy as np
from mmps.gallery import Frame, GalleryRows, open_gallery, stable_id
import mmps.gallery.milvus

def work(which):
    rng = np.random.default_rng(which)
    with open_gallery(sys.argv[1]) as gallery:
        for i in range(5):
            names = [f'{which}/{i}/{j}' for j in range(10)]
            ids = [stable_id(f'{n}#{k}') for n in names for k in range(4)]
            gallery.add(
                [Frame(name) for name in names],
                GalleryRows(
                    ids=np.array(ids),
                    frames=np.repeat(np.arange(10), 4),
                    bboxes=np.zeros((40, 4)),
                    scores=np.zeros(40),
                    embeddings=rng.normal(size=(40, 8)),
                ),
            )

children = []
for which in range(4):
    child = os.fork()
    if not child:
        code = 1
        try:
            work(which)
            code = 0
        finally:
            os._exit(code)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def test_four_processes_add_and_the_server_dies(tmp_path, start_server, batch):
    server, url = start_server(tmp_path)
    uri = f'{url}/shared'
    gallery = create_gallery(uri, HEADER)
    subprocess.run([sys.executable, '-c', ADD_200, uri], check=True)
    assert len(gallery) == 800
    # Whoever has it open finds the server again.
    server.send_signal(signal.SIGKILL)
    server.wait()
    began = time.monotonic()
    with pytest.raises(GalleryError, match=re.escape(uri)):
        len(gallery)
    with pytest.raises(GalleryError, match='no Milvus server answers there'):
        gallery.search(np.ones((1, DIM)), 1)
    with pytest.raises(GalleryError, match='no Milvus server answers there'):
        gallery.add(*batch(['new'], 1))
    assert time.monotonic() - began < 10
    start_server(tmp_path, url)
    assert len(gallery) == 800
    assert len(gallery.list_frames(limit=1000)) == 200
    gallery.add(*batch(['new'], 1))
    assert len(gallery) == 801
    gallery.close()
