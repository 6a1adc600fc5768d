"""Tests of the search of every gallery engine against brute force."""

import math
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mmps.gallery import (
    Filters,
    Frame,
    GalleryError,
    GalleryHeader,
    GalleryRows,
    create_gallery,
    open_gallery,
    stable_id,
)

DIM = 8
NASTY = [
    'c1" or "1"=="1',
    "c1' or '1'=='1",
    'c1"]) or (id >= 0',
    '\\',
    '\\"',
    'line\nbreak\r\ttab',
    'Straße \U0001f6b6 人',
    '%',
    '{camera}',
    '$meta',
    ' ',
    'c1',
]


def queries_of(num):
    return np.random.default_rng(99).normal(size=(num, DIM))


@pytest.mark.parametrize('metric', ['cosine', 'ip'])
def test_search_equals_brute_force(gallery_uri, batch, metric, new_oracle):
    oracle = new_oracle(metric)
    with create_gallery(gallery_uri, GalleryHeader(DIM, metric)) as gallery:
        for i in range(3):
            frames, rows = batch([f'{i}/{j}' for j in range(9)], 3, seed=i)
            rows.embeddings = rows.embeddings * 10.0**i
            gallery.add(frames, rows)
            oracle.add(frames, rows)
        queries = queries_of(7)
        queries[1] *= 1e3
        for k in (1, 5, 81, 90):
            oracle.check(gallery, queries, k)
        oracle.check(gallery, queries[:1], 4)
        oracle.check(gallery, queries[:0], 4)


def test_unit_length_whatever_the_scale(gallery, batch):
    frames, rows = batch(['a', 'b', 'c'], 1)
    rows.embeddings = rows.embeddings * np.array([[1e-30], [1e30], [1.0]])
    gallery.add(frames, rows)
    matches = gallery.search(rows.embeddings, 1)
    np.testing.assert_array_equal(matches.ids[:, 0], rows.ids)
    np.testing.assert_allclose(matches.similarities, 1, atol=1e-6)
    stored, _ = gallery.get(rows.ids, embeddings=True)
    norms = np.linalg.norm(stored.embeddings, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)


def test_empty_gallery(gallery):
    matches = gallery.search(queries_of(2), 3)
    assert (matches.ids == -1).all()
    assert (matches.similarities == -np.inf).all()
    assert len(gallery) == gallery.count(Filters(min_score=0.1)) == 0
    assert gallery.cameras() == gallery.list_frames() == []
    assert list(gallery.scan()) == []
    assert gallery.has_frames(['a']).tolist() == [False]
    assert gallery.has_frames([]).tolist() == []
    rows, frames = gallery.get([])
    assert len(rows) == len(frames) == 0
    info = gallery.info()
    assert info['rows'] == info['frames'] == 0
    gallery.add([], GalleryRows.empty(DIM))
    assert gallery.delete() == gallery.delete([1], ['a']) == 0


FILTERS = {
    'all': Filters(),
    'cameras': Filters(cameras=['c1', 'c9']),
    'no cameras': Filters(cameras=[]),
    'unknown camera': Filters(cameras=['c9']),
    'camera not known': Filters(cameras=['']),
    'exclude_cameras': Filters(exclude_cameras=['c1', 'c9']),
    'exclude camera not known': Filters(exclude_cameras=['']),
    'after': Filters(after=2.0),
    'before': Filters(before=2.0),
    'between': Filters(after=-1.5, before=4.0),
    'from the beginning of time': Filters(after=-1e300),
    'until the end of time': Filters(before=1e300),
    'tiny': Filters(after=1e-300),
    'min_score': Filters(min_score=0.5),
    'a score that float32 lacks': Filters(min_score=0.9),
    'no score': Filters(min_score=1e300),
    'any score': Filters(min_score=-1e300),
    'exclude_frames': Filters(exclude_frames=['f0', 'f3', 'unknown']),
    'frames': Filters(frames=['f1', 'f4', 'f9', 'unknown']),
    'no frames': Filters(frames=[]),
    'a lone surrogate': Filters(cameras=['\ud800', 'c2']),
    'combined': Filters(
        cameras=['c1', 'c2', ''],
        exclude_cameras=['c2'],
        after=-1.0,
        before=7.0,
        min_score=0.2,
        exclude_frames=['f4'],
        frames=['f0', 'f1', 'f4', 'f5', 'f7'],
    ),
}


@pytest.fixture
def filtered(gallery, batch, oracle):
    """A gallery with cameras, times and scores, and its oracle."""
    cameras = ['c1', 'c2', '']
    times = [-1.5, 0.0, 1.0, 2.0, math.nan, 4.0, math.nan, 1.7e9, 6.5, 7.0]
    frames = [
        Frame(f'f{i}', camera=cameras[i % 3], time=time)
        for i, time in enumerate(times)
    ]
    frames, rows = batch(frames, 3, seed=5)
    rows.scores[::4] = 0.9
    rows.scores[1] = 0.5
    for half in (slice(0, 6), slice(6, 10)):
        part = np.isin(rows.frames, np.arange(10)[half])
        some = rows.take(part)
        some.frames = some.frames - half.start
        gallery.add(frames[half], some)
        oracle.add(frames[half], some)
    return gallery, oracle


def test_filters(filtered):
    gallery, oracle = filtered
    queries = queries_of(3)
    for name, filters in FILTERS.items():
        num = len(oracle.passing(filters))
        assert gallery.count(filters) == num, name
        oracle.check(gallery, queries, 40, filters)
        oracle.check(gallery, queries, 2, filters)
    sizes = {name: len(oracle.passing(f)) for name, f in FILTERS.items()}
    assert sizes['all'] == 30
    for name in ('no cameras', 'unknown camera', 'no score'):
        assert sizes[name] == 0
    # Frames without a time pass neither.
    assert sizes['from the beginning of time'] == 24
    assert sizes['until the end of time'] == 24
    assert 0 < sizes['combined'] < sizes['cameras'] < 30
    assert sizes['a score that float32 lacks'] >= 8


def test_strings_are_only_compared(gallery, batch, oracle):
    frames = [Frame(name, camera=name) for name in NASTY]
    frames, rows = batch([*frames, Frame('z', camera='z')], 1)
    gallery.add(frames, rows)
    oracle.add(frames, rows)
    assert gallery.cameras() == sorted([*NASTY, 'z'])
    assert gallery.has_frames([*NASTY, 'z"', 'c']).tolist() == (
        [True] * len(NASTY) + [False, False]
    )
    query = queries_of(1)
    for name in NASTY:
        for filters in (
            Filters(cameras=[name]),
            Filters(exclude_cameras=[name]),
            Filters(exclude_frames=[name]),
        ):
            oracle.check(gallery, query, 20, filters)
        assert gallery.count(Filters(cameras=[name])) == 1
        assert gallery.people_in(name).ids.tolist() == [stable_id(f'{name}#0')]
        frame = gallery.frame(stable_id(name))
        assert frame.name == frame.camera == name
    for name in ('x" or "1"=="1', "x' or 1==1 or camera == '", '%%', 'c1 '):
        assert gallery.count(Filters(cameras=[name])) == 0
        assert gallery.count(Filters(exclude_cameras=[name])) == len(frames)
        assert gallery.delete(frames=[name]) == 0
    assert gallery.delete(frames=[NASTY[0]]) == 1
    assert len(gallery) == len(NASTY)


def test_equal_ones_come_as_they_were_added(gallery, batch, oracle):
    for i in range(4):
        # Reversed names, so that no order but that of adding explains it.
        names = [f'{9 - i}/{90 - j}' for j in range(20)]
        frames, rows = batch(names, 1, seed=i)
        rows.embeddings[5:] = 1.0
        gallery.add(frames, rows)
        oracle.add(frames, rows)
    query = np.ones((1, DIM))
    for k in (1, 3, 25, 59, 60, 80):
        oracle.check(gallery, query, k)
    frames, rows = batch(['9/90', '9/80'], 1)
    rows.embeddings[:] = 1.0
    gallery.add(frames, rows)
    oracle.add(frames, rows)
    for k in (4, 60, 61):
        oracle.check(gallery, query, k)
    assert gallery.search(query, 61).ids[0, -1] == stable_id('9/80#0')


def test_threads_search_while_one_adds(gallery, batch):
    added, errors = [], []
    done = threading.Event()

    def look():
        try:
            while not done.is_set():
                before = list(added)
                if not before:
                    continue
                rows = before[-1]
                matches = gallery.search(rows.embeddings[:1], 1)
                assert matches.ids[0, 0] == rows.ids[0]
                assert gallery.count() >= sum(map(len, before))
                assert gallery.get(before[0].ids)[1][0].name == '0'
                assert len(gallery.list_frames()) >= len(before)
        except BaseException as err:
            errors.append(err)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(10):
            frames, rows = batch([str(i)], 3, seed=i)
            gallery.add(frames, rows)
            added.append(rows)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert len(gallery) == 30


def test_threads_add_at_once(gallery, gallery_uri, batch):
    errors = []

    def work(which):
        try:
            for i in range(5):
                frames, rows = batch([f'{which}/{i}'], 4, seed=9 * which + i)
                gallery.add(frames, rows)
        except BaseException as err:
            errors.append(err)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(gallery) == 80
    gallery.close()
    with open_gallery(gallery_uri) as again:
        assert len(again) == 80
        assert len(again.list_frames()) == 20


# Few vectors, names and ids: so there are ties, and rows change frames.
VECTORS = np.random.default_rng(0).normal(size=(4, DIM))
NAMES = st.sampled_from(['a', 'b', 'c', 'd'])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just('add'),
            st.lists(
                st.tuples(NAMES, st.sets(st.integers(0, 9), max_size=3)),
                max_size=3,
                unique_by=lambda item: item[0],
            ),
            st.integers(0, 999),
        ),
        st.tuples(
            st.just('delete'),
            st.sets(st.integers(0, 9), max_size=3),
            st.sets(NAMES, max_size=2),
        ),
        st.just(('persist',)),
        st.just(('open',)),
    ),
    min_size=3,
    max_size=8,
)


def apply_step(gallery, oracle, step):
    if step[0] == 'delete':
        args = sorted(step[1]), sorted(step[2])
        assert gallery.delete(*args) == oracle.delete(*args)
        return
    taken, owner, ids = set(), [], []
    for i, (_, wanted) in enumerate(step[1]):
        ids += sorted(wanted - taken)
        owner += [i] * len(wanted - taken)
        taken |= wanted
    rng = np.random.default_rng(step[2])
    rows = GalleryRows(
        ids=np.array(ids, np.int64),
        frames=np.array(owner, np.int64),
        bboxes=rng.uniform(size=(len(ids), 4)),
        scores=rng.uniform(size=len(ids)),
        embeddings=VECTORS[rng.integers(0, 4, len(ids))],
    )
    frames = [Frame(name, camera=name, index=step[2]) for name, _ in step[1]]
    gallery.add(frames, rows)
    oracle.add(frames, rows)


def test_any_sequence_equals_a_dict(engine, new_uri, new_oracle):
    quick = engine == 'exact'

    @settings(
        max_examples=30 if quick else 5,
        phases=list(Phase) if quick else [Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def check(steps):
        uri = new_uri()
        oracle = new_oracle()
        gallery = create_gallery(uri, GalleryHeader(DIM))
        try:
            for step in steps:
                if step[0] == 'persist':
                    gallery.persist()
                elif step[0] == 'open':
                    gallery.close()
                    gallery = open_gallery(uri)
                else:
                    apply_step(gallery, oracle, step)
            queries = queries_of(2)
            oracle.check(gallery, queries, 12)
            some = Filters(exclude_cameras=['a'])
            oracle.check(gallery, queries, 3, some)
            frames = gallery.list_frames()
            assert [f.name for f in frames] == sorted(oracle.frames)
            for frame in frames:
                assert frame.index == oracle.frames[frame.name].index
            assert gallery.count() == len(oracle.rows)
            scanned = [i for rows, _ in gallery.scan(4) for i in rows.ids]
            assert scanned == oracle.in_order()
        finally:
            gallery.close()

    check()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(cameras='c1'), 'cameras: expected a list of strings'),
        (dict(exclude_frames=[1]), 'exclude_frames: expected a list of str'),
        (dict(frames='f1'), 'frames: expected a list of strings'),
        (dict(after=float('nan')), 'after: expected a number, got nan'),
        (dict(min_score=float('inf')), 'min_score: expected a number'),
        (dict(after=5, before=3), 'after 5: expected less than before, 3'),
        (dict(after=5, before=5), 'after 5: expected less than before, 5'),
    ],
)
def test_filters_that_mean_nothing(options, message):
    with pytest.raises(GalleryError, match=message):
        Filters(**options)
