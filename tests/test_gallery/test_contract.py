"""Tests of what every gallery engine promises, apart from its search."""

import dataclasses
import math

import numpy as np
import pytest

from mmps.gallery import (
    Filters,
    Frame,
    GalleryError,
    GalleryHeader,
    GalleryMismatchError,
    GalleryRows,
    create_gallery,
    gallery_exists,
    open_gallery,
    stable_id,
)
from mmps.gallery.errors import (
    GalleryExistsError,
    GalleryKeyError,
    GalleryNotFoundError,
)
from mmps.gallery.records import MARK

DIM = 8


def queries_of(num):
    return np.random.default_rng(99).normal(size=(num, DIM))


def same_frame(one, other):
    """Equal; of times NaN equals NaN."""
    times = np.array([one.time, other.time])
    assert one._replace(time=0) == other._replace(time=0)
    np.testing.assert_array_equal(times[0], times[1])


# -- adding and deleting --------------------------------------------------


def test_fields_come_back(gallery, batch):
    frames = [
        Frame('a', 'dir/a.mp4', 41, 'door', 1.5e9 + 0.25, 1920, 1080),
        Frame('b', 'b.jpg', camera='', time=math.nan),
        Frame('c', time=-0.5, index=0),
    ]
    frames, rows = batch(frames, [2, 0, 1])
    gallery.add(frames, rows)
    for frame in frames:
        same_frame(gallery.frame(frame.id), frame)
    got, their_frames = gallery.get(rows.ids, embeddings=True)
    np.testing.assert_array_equal(got.ids, rows.ids)
    np.testing.assert_array_equal(got.bboxes, rows.bboxes)
    np.testing.assert_array_equal(got.scores, rows.scores)
    np.testing.assert_array_equal(got.tracks, rows.tracks)
    unit = rows.embeddings / np.linalg.norm(
        rows.embeddings, axis=1, keepdims=True
    )
    np.testing.assert_allclose(got.embeddings, unit, atol=1e-6)
    names = [their_frames[i].name for i in got.frames]
    assert names == ['a', 'a', 'c']
    for frame in their_frames:
        same_frame(frame, frames['abc'.index(frame.name)])
    assert gallery.get(rows.ids)[0].embeddings.shape == (3, 0)


def test_a_frame_is_replaced_with_its_people(gallery, batch):
    gallery.add(*batch(['a', 'b'], 3))
    frames, rows = batch([Frame('a', camera='new')], 1, seed=7)
    gallery.add(frames, rows)
    assert gallery.people_in('a').ids.tolist() == rows.ids.tolist()
    assert len(gallery.people_in('b')) == 3
    assert len(gallery) == 4
    assert gallery.count(Filters(cameras=['new'])) == 1
    assert gallery.frame(stable_id('a')).camera == 'new'
    assert gallery.search(rows.embeddings, 1).ids[0, 0] == rows.ids[0]
    with pytest.raises(GalleryKeyError, match=str(stable_id('a#2'))):
        gallery.get([stable_id('a#2')])
    gallery.add(*batch(['a'], 0))
    assert len(gallery.people_in('a')) == 0
    assert gallery.has_frames(['a']).tolist() == [True]
    assert len(gallery) == 3


def test_a_row_moves_to_another_frame(gallery, batch):
    gallery.add(*batch(['a', 'b'], 2))
    frames, rows = batch(['c'], 1, seed=3)
    rows.ids[0] = stable_id('a#0')
    gallery.add(frames, rows)
    assert len(gallery) == 4
    assert gallery.people_in('a').ids.tolist() == [stable_id('a#1')]
    assert gallery.people_in('c').ids.tolist() == [stable_id('a#0')]
    got, their_frames = gallery.get(rows.ids)
    assert their_frames[got.frames[0]].name == 'c'
    # Both change owners at once.
    frames, rows = batch(['a', 'b'], 1, seed=4)
    rows.ids[:] = stable_id('b#0'), stable_id('a#1')
    gallery.add(frames, rows)
    assert gallery.people_in('a').ids.tolist() == [stable_id('b#0')]
    assert gallery.people_in('b').ids.tolist() == [stable_id('a#1')]
    assert len(gallery) == 3


def test_frames_without_people_are_remembered(gallery, batch):
    gallery.add(*batch(['a', 'b', 'c'], [0, 2, 0]))
    assert gallery.has_frames(['a', 'x', 'c']).tolist() == [True, False, True]
    assert [f.name for f in gallery.list_frames()] == ['a', 'b', 'c']
    assert gallery.info()['frames'] == 3
    assert gallery.info()['rows'] == 2
    assert len(gallery.people_in('a')) == 0


def test_marks_are_no_frames(gallery, batch):
    mark = Frame('film', 'film.mp4', MARK)
    gallery.add(*batch([mark, Frame('a', camera='c')], [0, 2]))
    assert gallery.has_frames(['film', 'a']).all()
    same_frame(gallery.frame(mark.id), mark)
    assert len(gallery.people_in('film')) == 0
    assert [frame.name for frame in gallery.list_frames()] == ['a']
    assert gallery.info()['frames'] == 1
    assert gallery.cameras() == ['c']
    assert gallery.delete(frames=['film']) == 0
    assert gallery.has_frames(['film', 'a']).tolist() == [False, True]


def test_a_video_is_not_complete_without_a_frame(gallery, batch):
    """Neither as frames nor as tracks; other videos are."""
    marks = [
        Frame(f'{name}#{how}', name, MARK)
        for name in ('a.mp4', 'b.mp4')
        for how in ('frames', 'tracks')
    ]
    frames = [
        Frame(f'{name}#{i:06d}', f'{name}#t={i / 2:.6f}', i)
        for name in ('a.mp4', 'b.mp4')
        for i in range(2)
    ]
    gallery.add(*batch([*frames, Frame('a.mp4.jpg', 'a.mp4', 0)], 1))
    gallery.add(*batch(marks, 0))
    names = [mark.name for mark in marks]
    assert gallery.delete(frames=['a.mp4.jpg', 'c.mp4#000000']) == 1
    assert gallery.has_frames(names).all()
    assert gallery.delete(frames=['a.mp4#000001']) == 1
    assert gallery.has_frames(names).tolist() == [False, False, True, True]
    left = gallery.has_frames([frame.name for frame in frames])
    assert left.tolist() == [True, False, True, True]


def test_delete(gallery, batch):
    frames, rows = batch([Frame(n, camera=n) for n in 'abc'], 3)
    gallery.add(frames, rows)
    gone = [stable_id('a#1'), 12345]
    assert gallery.delete(gone) == 1
    assert gallery.delete(gone) == 0
    assert gallery.people_in('a').ids.tolist() == [rows.ids[0], rows.ids[2]]
    assert gallery.has_frames(['a']).tolist() == [True]
    # A row that goes both ways counts once.
    assert gallery.delete([stable_id('b#0')], ['b', 'unknown']) == 3
    assert gallery.has_frames(['a', 'b']).tolist() == [True, False]
    assert gallery.cameras() == ['a', 'c']
    assert len(gallery) == 5
    assert gallery.search(rows.embeddings[3:4], 9).ids.tolist()[0].count(-1)
    with pytest.raises(GalleryKeyError):
        gallery.people_in('b')
    gallery.add(*batch(['b'], 1))
    assert gallery.people_in('b').ids.tolist() == [stable_id('b#0')]


def bad_rows(batch, case):
    frames, rows = batch(['new', 'other'], 2, seed=2)
    vectors = rows.embeddings = rows.embeddings.copy()
    if case == 'nan':
        vectors[3, 2] = np.nan
    elif case == 'infinite':
        vectors[3, 2] = -np.inf
    elif case == 'zero':
        vectors[3] = 0
    elif case == 'narrow':
        rows.embeddings = vectors[:, :-1]
    elif case == 'id twice':
        rows.ids[3] = rows.ids[0]
    elif case == 'id below 0':
        rows.ids[3] = -1
    elif case == 'no such frame':
        rows.frames[3] = 2
    elif case == 'frame twice':
        frames = [frames[0], frames[0]]
    elif case == 'no name':
        frames = [frames[0], Frame('')]
    elif case == 'endless time':
        frames = [frames[0], Frame('other', time=math.inf)]
    return frames, rows


CASES = [
    'nan', 'infinite', 'zero', 'narrow', 'id twice', 'id below 0',
    'no such frame', 'frame twice', 'no name', 'endless time',
]  # fmt: skip


def test_bad_input_adds_nothing(gallery, batch):
    gallery.add(*batch(['old'], 1))
    for case in CASES:
        with pytest.raises(GalleryError):
            gallery.add(*bad_rows(batch, case))
        assert len(gallery) == 1, case
        assert not gallery.has_frames(['new', 'other']).any(), case
    query = queries_of(1)
    for bad in (query * np.nan, query * np.inf, query * 0, query[:, 1:]):
        with pytest.raises(GalleryError, match='queries'):
            gallery.search(bad, 1)
    with pytest.raises(GalleryError, match='queries'):
        gallery.search(query[0], 1)
    for k in (0, -1):
        with pytest.raises(GalleryError, match='k: '):
            gallery.search(query, k)


def test_zero_is_a_vector_for_inner_products(gallery_uri, batch):
    with create_gallery(gallery_uri, GalleryHeader(DIM, 'ip')) as gallery:
        frames, rows = batch(['a'], 2)
        rows.embeddings[0] = 0
        gallery.add(frames, rows)
        matches = gallery.search(-rows.embeddings[1:], 2)
        np.testing.assert_array_equal(matches.ids[0], rows.ids)
        assert matches.similarities[0, 0] == 0
        assert matches.similarities[0, 1] < 0


# -- reading --------------------------------------------------------------


def test_get_keeps_the_order(gallery, batch):
    _, rows = frames_rows = batch(['b', 'a'], 3)
    gallery.add(*frames_rows)
    wanted = rows.ids[[4, 0, 5, 0]]
    got, frames = gallery.get(wanted, embeddings=True)
    np.testing.assert_array_equal(got.ids, wanted)
    np.testing.assert_array_equal(got.bboxes, rows.bboxes[[4, 0, 5, 0]])
    assert [frames[i].name for i in got.frames] == ['a', 'b', 'a', 'b']
    assert got.embeddings.shape == (4, DIM)
    for unknown in (77, 2**62, -5, 10**20, -(10**20)):
        with pytest.raises(GalleryKeyError, match=f'no row {unknown}$'):
            gallery.get([int(rows.ids[0]), unknown])


def test_unknown_frames(gallery, batch):
    gallery.add(*batch(['a'], 1))
    with pytest.raises(GalleryKeyError, match='nobody'):
        gallery.people_in('nobody')
    for unknown in (77, 2**62, -5):
        with pytest.raises(GalleryKeyError, match=str(unknown)):
            gallery.frame(unknown)


def test_people_in_keeps_the_order(gallery, batch):
    _, rows = frames_rows = batch(['a', 'b'], [9, 2])
    order = np.random.default_rng(1).permutation(9)
    rows = rows.take([*order, 9, 10])
    gallery.add(frames_rows[0], rows)
    got = gallery.people_in('a', embeddings=True)
    np.testing.assert_array_equal(got.ids, rows.ids[:9])
    np.testing.assert_array_equal(got.tracks, rows.tracks[:9])
    assert (got.frames == 0).all()
    assert got.embeddings.shape == (9, DIM)
    assert gallery.people_in('a').embeddings.shape == (9, 0)


def test_lists(gallery, batch):
    cameras = {'b': 'x', 'B': '', 'ä': 'y', 'a/2': 'x', 'a/10': 'w', 'z': ''}
    frames = [Frame(name, camera=cam) for name, cam in cameras.items()]
    gallery.add(*batch(frames[:4], 1))
    gallery.add(*batch(frames[4:], 0))
    names = sorted(cameras)
    assert [f.name for f in gallery.list_frames()] == names
    pages = [gallery.list_frames(at, 2) for at in range(0, 8, 2)]
    assert [[f.name for f in page] for page in pages] == [
        names[:2], names[2:4], names[4:], [],
    ]  # fmt: skip
    assert [f.camera for f in gallery.list_frames(1, 1)] == [cameras[names[1]]]
    assert gallery.cameras() == ['', 'w', 'x', 'y']


@pytest.mark.parametrize('size', [1, 4, 100])
def test_scan(gallery, batch, size, oracle):
    for i, names in enumerate((['d', 'b', 'c'], ['e', 'a'], ['c'])):
        frames, rows = batch(names, 3 - i, seed=i)
        rows = rows.take(np.arange(len(rows))[::-1])
        gallery.add(frames, rows)
        oracle.add(frames, rows)
    ids = []
    for rows, frames in gallery.scan(size):
        assert 0 < len(rows) <= size
        ids += rows.ids.tolist()
        for i in range(len(rows)):
            name, one = oracle.rows[int(rows.ids[i])]
            assert frames[rows.frames[i]].name == name
            np.testing.assert_array_equal(rows.bboxes[i], one.bboxes[0])
            cosine = rows.embeddings[i] @ one.embeddings[0]
            assert cosine == pytest.approx(np.linalg.norm(one.embeddings))
    assert ids == oracle.in_order()
    assert sum(len(rows) for rows, _ in gallery.scan(size, False)) == len(ids)
    assert next(gallery.scan(size, False))[0].embeddings.shape[1] == 0


# -- opening --------------------------------------------------------------


def test_create_and_open(gallery_uri):
    assert not gallery_exists(gallery_uri)
    with pytest.raises(GalleryNotFoundError):
        open_gallery(gallery_uri)
    assert not gallery_exists(gallery_uri)
    header = GalleryHeader(DIM, 'ip', model='m', model_hash='h', root='/r')
    gallery = create_gallery(gallery_uri, header)
    gallery.close()
    gallery.close()
    assert gallery_exists(gallery_uri)
    with pytest.raises(GalleryExistsError):
        create_gallery(gallery_uri, header)
    with open_gallery(gallery_uri) as gallery:
        assert gallery.header == header
        info = gallery.info()
        assert info['engine'] == gallery.engine
        assert info['metric'] == 'ip'
        assert info['uri'] == gallery_uri
        assert info['bytes'] >= 0


def test_everything_is_there_after_opening(gallery_uri, batch, oracle):
    with create_gallery(gallery_uri, GalleryHeader(DIM)) as gallery:
        for i in range(3):
            frames, rows = batch([f'{i}/{j}' for j in range(4)], 2, seed=i)
            gallery.add(frames, rows)
            oracle.add(frames, rows)
            if i == 1:
                gallery.persist()
        gallery.delete(frames=['0/1'])
        oracle.delete(frames=['0/1'])
    query = queries_of(4)
    for read_only in (True, False):
        with open_gallery(gallery_uri, read_only) as gallery:
            oracle.check(gallery, query, 30)
            assert not gallery.has_frames(['0/1']).any()
    # Order goes on where it ended.
    with open_gallery(gallery_uri) as gallery:
        frames, rows = batch(['new'], 2)
        rows.embeddings[:] = oracle.rows[stable_id('2/0#0')][1].embeddings
        gallery.add(frames, rows)
        oracle.add(frames, rows)
        gallery.persist()
        oracle.check(gallery, rows.embeddings[:1], 30)
        assert [i for r, _ in gallery.scan(5) for i in r.ids] == (
            oracle.in_order()
        )


def test_read_only(gallery_uri, batch):
    frames, rows = batch(['a'], 2)
    with create_gallery(gallery_uri, GalleryHeader(DIM)) as gallery:
        gallery.add(frames, rows)
    with open_gallery(gallery_uri, read_only=True) as gallery:
        with pytest.raises(GalleryError, match='reading only'):
            gallery.add(*batch(['b'], 1))
        with pytest.raises(GalleryError, match='reading only'):
            gallery.delete(rows.ids)
        with pytest.raises(GalleryError, match='reading only'):
            gallery.set_threshold(0.5)
        assert len(gallery) == 2
        assert gallery.header.threshold is None
        assert gallery.search(rows.embeddings, 1).ids[1, 0] == rows.ids[1]


def test_threshold_is_stored(gallery_uri):
    header = GalleryHeader(DIM, threshold=0.25)
    with create_gallery(gallery_uri, header) as gallery:
        gallery.set_threshold(0.625)
        assert gallery.header.threshold == 0.625
    with open_gallery(gallery_uri) as gallery:
        assert gallery.header == dataclasses.replace(header, threshold=0.625)
        assert gallery.info()['threshold'] == 0.625
        gallery.set_threshold(None)
    with open_gallery(gallery_uri, read_only=True) as gallery:
        assert gallery.header.threshold is None


def test_another_model_is_refused(gallery_uri):
    header = GalleryHeader(DIM, model='m', model_hash='a' * 64)
    create_gallery(gallery_uri, header).close()
    with open_gallery(gallery_uri, read_only=True) as gallery:
        stored = gallery.header
    stored.check_fits(header, gallery_uri)
    stored.check_fits(GalleryHeader(DIM), gallery_uri)
    for other in (
        GalleryHeader(DIM + 1),
        GalleryHeader(DIM, 'ip'),
        GalleryHeader(DIM, model_hash='b' * 64),
    ):
        with pytest.raises(GalleryMismatchError, match=gallery_uri):
            stored.check_fits(other, gallery_uri)


def test_half_precision(gallery_uri, engine, batch):
    """The exact engine stores it; others refuse, and name that one."""
    header = GalleryHeader(DIM, dtype='float16')
    if engine != 'exact':
        with pytest.raises(GalleryError, match='exact gallery'):
            create_gallery(gallery_uri, header)
        assert not gallery_exists(gallery_uri)
        return
    with create_gallery(gallery_uri, header) as gallery:
        frames, rows = batch(['a', 'b'], 5)
        gallery.add(frames, rows)
        matches = gallery.search(rows.embeddings, 1)
        np.testing.assert_array_equal(matches.ids[:, 0], rows.ids)
        np.testing.assert_allclose(matches.similarities, 1, atol=2e-3)
        assert (matches.similarities != 1).any()
        assert gallery.get(rows.ids, True)[0].embeddings.dtype == np.float16


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('a\0b', 'no NUL'),
        ('a' * 5000, 'expected at most'),
        ('\udcff', 'expected valid Unicode'),
    ],
)
def test_names_that_no_engine_holds(gallery, name, message):
    with pytest.raises(GalleryError, match=message):
        gallery.add([Frame(name)], GalleryRows.empty(DIM))
    assert gallery.list_frames() == []
