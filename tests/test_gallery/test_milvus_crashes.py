"""Tests of galleries in Milvus after crashes."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from mmps.gallery import (
    Filters,
    Frame,
    GalleryHeader,
    create_gallery,
    open_gallery,
    stable_id,
)
from mmps.gallery.errors import (
    GalleryKeyError,
)

pytestmark = pytest.mark.slow

pytest.importorskip('pymilvus', reason='needs mmps[milvus]')
pytest.importorskip('milvus_lite', reason='needs mmps[milvus]')

from mmps.gallery import milvus_store  # noqa: E402

DIM = 8
HEADER = GalleryHeader(DIM)


class Crash(BaseException):
    pass


def crash_at(monkeypatch, gallery, step):
    """Let the process end before its ``step``-th write, as it seems."""
    link, left = gallery._link, [step]
    call = link.call

    def stub(method, *args, **kwargs):
        if method in ('upsert', 'delete'):
            left[0] -= 1
            if left[0] < 0:
                raise Crash
        return call(method, *args, **kwargs)

    monkeypatch.setattr(link, 'call', stub)


def check_half_written(gallery, lost):
    """Only frame 'b' is there, with its two people."""
    names = ['a', 'b', 'c']
    assert gallery.has_frames(names).tolist() == [False, True, False]
    assert [f.name for f in gallery.list_frames()] == ['b']
    assert gallery.cameras() == ['of b']
    assert gallery.info()['frames'] == 1
    assert gallery.info()['rows'] == len(gallery) == 2
    assert gallery.count(Filters(exclude_frames=['b'])) == 0
    matches = gallery.search(np.ones((1, DIM)), 20)
    ids = {stable_id('b#0'), stable_id('b#1')}
    assert set(matches.ids[0]) == {*ids, -1}
    assert {i for rows, _ in gallery.scan() for i in rows.ids} == ids
    if not gallery.read_only:
        assert not gallery.delete(lost, ['a', 'c'])
    for row in lost:
        with pytest.raises(GalleryKeyError, match=str(row)):
            gallery.get([row])
    for name in ('a', 'c'):
        with pytest.raises(GalleryKeyError):
            gallery.people_in(name)
        with pytest.raises(GalleryKeyError):
            gallery.frame(stable_id(name))


def raw_count(gallery):
    return gallery._store.count('people', '')


def start_over(uri, batch, new_oracle):
    """A gallery with 'a' and 'b', what is to be added, and the oracles."""
    frames = [Frame(n, camera=f'of {n}') for n in 'ab']
    before, after = new_oracle(), new_oracle()
    old = batch(frames, [3, 2])
    new = batch([frames[0], Frame('c', camera='of c')], [5, 2], seed=1)
    # Only one of the three people that were in the frame is there again.
    new[1].ids[1:3] += 1
    gallery = create_gallery(uri, HEADER)
    gallery.add(*old)
    for oracle in (before, after):
        oracle.add(*old)
    after.add(*new)
    return gallery, new, before, after


def test_crashes_while_adding(tmp_path, batch, new_oracle, monkeypatch):
    monkeypatch.setattr(milvus_store.Store, 'page', lambda self, kind: 3)
    states = []
    query = np.random.default_rng(3).normal(size=(2, DIM))
    for step in range(20):
        path = str(tmp_path / f'{step}.db')
        gallery, new, before, after = start_over(path, batch, new_oracle)
        with monkeypatch.context() as patch:
            crash_at(patch, gallery, step)
            try:
                gallery.add(*new)
                states.append('done')
            except Crash:
                states.append('')
        lost = [stable_id('a#0'), stable_id('a#1'), *new[1].ids]
        if states[-1] == 'done' or gallery.has_frames(['c'])[0]:
            states[-1] = states[-1] or 'new'
            after.check(gallery, query, 20)
        elif gallery.has_frames(['a'])[0]:
            states[-1] = 'old'
            before.check(gallery, query, 20)
        else:
            states[-1] = 'hidden'
            check_half_written(gallery, lost)
        gallery.close()
        with open_gallery(path, read_only=True) as gallery:
            if states[-1] == 'hidden':
                check_half_written(gallery, lost)
        # What is hidden does not stay for ever.
        with open_gallery(path) as gallery:
            assert raw_count(gallery) == len(gallery)
            assert not gallery._store._journals()
            if states[-1] == 'hidden':
                check_half_written(gallery, lost)
            gallery.add(*new)
            after.check(gallery, query, 20)
        if states[-1] == 'done':
            break
    # Mark, delete, 3 x people, frames; then only the mark is to be removed.
    assert states == ['old', *['hidden'] * 5, 'new', 'done']


def test_crashes_while_deleting(tmp_path, batch, new_oracle, monkeypatch):
    states = []
    for step in range(20):
        path = str(tmp_path / f'{step}.db')
        gallery, _, before, _ = start_over(path, batch, new_oracle)
        with monkeypatch.context() as patch:
            crash_at(patch, gallery, step)
            try:
                assert gallery.delete(frames=['a']) == 3
                states.append('done')
            except Crash:
                states.append('old' if gallery.has_frames(['a'])[0] else 'new')
        if states[-1] == 'old':
            before.check(gallery, np.ones((1, DIM)), 9)
        else:
            check_half_written(gallery, [stable_id('a#0')])
        gallery.close()
        with open_gallery(path) as gallery:
            assert raw_count(gallery) == len(gallery)
        if states[-1] == 'done':
            break
    # Mark, people, frame, and the mark is removed.
    assert states == ['old', 'new', 'new', 'new', 'done']


def test_unfinished_on_a_server(milvus_server, batch, new_oracle, monkeypatch):
    url = f'{milvus_server}/unfinished'
    gallery, new, _, after = start_over(url, batch, new_oracle)
    with monkeypatch.context() as patch:
        crash_at(patch, gallery, 3)
        with pytest.raises(Crash):
            gallery.add(*new)
    lost = [stable_id('a#0'), *new[1].ids]
    check_half_written(gallery, lost)
    # It may be another one's, who is still at it.
    with open_gallery(url) as other:
        check_half_written(other, lost)
        assert raw_count(other) > len(other)
        # Adding it again repairs it, though the mark stays.
        other.add(*batch(['c'], 1))
        assert other.people_in('c').ids.tolist() == [stable_id('c#0')]
        assert gallery.has_frames(['a', 'c']).tolist() == [False, True]
        assert len(gallery) == 3
        other.add(*new)
        after.check(gallery, np.ones((1, DIM)), 20)
        assert len(other._store._journals()) == 1
        assert raw_count(other) == len(other)
    with monkeypatch.context() as patch:
        crash_at(patch, gallery, 2)
        with pytest.raises(Crash):
            gallery.add(*new)
    monkeypatch.setattr(milvus_store, '_DAY', -1)
    with open_gallery(url) as other:
        assert not other._store._journals()
        assert raw_count(other) == len(other) == 2
        check_half_written(other, lost)
    gallery.close()


KILLED = """
import sys
import numpy as np
from mmps.gallery import Frame, GalleryRows, open_gallery, stable_id
gallery = open_gallery(sys.argv[1])
rng = np.random.default_rng(0)
for i in range(10_000):
    name = str(i)
    rows = GalleryRows(
        ids=np.array([stable_id(f'{name}#{j}') for j in range(3)]),
        frames=np.zeros(3, int),
        bboxes=np.zeros((3, 4)),
        scores=np.zeros(3),
        embeddings=rng.normal(size=(3, 8)),
    )
    gallery.add([Frame(name)], rows)
    print(name, flush=True)
"""


def test_killed_while_adding(tmp_path):
    path = str(tmp_path / 'g.db')
    create_gallery(path, HEADER).close()
    writer = subprocess.Popen(
        [sys.executable, '-c', KILLED, path], stdout=subprocess.PIPE, text=True
    )
    for _ in range(25):
        assert writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    output, _ = writer.communicate(timeout=60)
    last = output.splitlines()[-1] if output else '24'
    names = [str(i) for i in range(int(last) + 1)]
    with open_gallery(path) as gallery:
        assert gallery.has_frames(names).all()
        frames = gallery.list_frames(limit=20_000)
        assert len(gallery) == 3 * len(frames)
        for name in names:
            assert len(gallery.people_in(name)) == 3
