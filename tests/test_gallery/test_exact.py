import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from mmps.gallery import (
    Filters,
    Frame,
    GalleryError,
    GalleryHeader,
    GalleryLockedError,
    GalleryRows,
    create_gallery,
    open_gallery,
    segments,
    stable_id,
    topk,
)
from mmps.gallery import exact as module
from mmps.gallery.segments import Segment
from mmps.utils import files

DIM = 8
WRITER = """
import sys, numpy as np
from mmps.gallery import Frame, GalleryRows, open_gallery, stable_id
gallery = open_gallery(sys.argv[1])
for n in range(int(sys.argv[2]), 10**6):
    name = f'frame{n:06d}'
    vector = np.random.default_rng(n).standard_normal((3, 8))
    ids = [stable_id(f'{name}#{i}') for i in range(3)]
    gallery.add([Frame(name)], GalleryRows(
        ids, np.zeros(3, int), np.zeros((3, 4)), np.ones(3), vector))
    print(n, flush=True)
"""


def rows_of(name, num=2, seed=0, dim=DIM):
    rng = np.random.default_rng([seed, stable_id(name) % 2**31])
    return GalleryRows(
        ids=[stable_id(f'{name}#{i}') for i in range(num)],
        frames=np.zeros(num, int),
        bboxes=rng.random((num, 4)),
        scores=rng.random(num),
        embeddings=rng.standard_normal((num, dim)),
    )


@pytest.fixture
def gallery(tmp_path):
    with create_gallery(tmp_path / 'g', GalleryHeader(dim=DIM)) as gallery:
        yield gallery


def fill(gallery, num, start=0, people=2):
    for n in range(start, start + num):
        frame = Frame(f'f{n:04d}', camera=f'c{n % 2}', time=float(n))
        gallery.add([frame], rows_of(frame.name, people))


def contents(gallery):
    found = {}
    for rows, frames in gallery.scan():
        for i in range(len(rows)):
            found[int(rows.ids[i])] = (
                frames[rows.frames[i]],
                rows.embeddings[i].tobytes(),
                rows.bboxes[i].tobytes(),
            )
    return found


@pytest.mark.slow
def test_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    path = tmp_path / 'g'
    create_gallery(path, GalleryHeader(dim=DIM)).close()
    rng, start = np.random.default_rng(0), 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, '-c', WRITER, str(path), str(start)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        told = int(writer.stdout.readline())
        time.sleep(rng.random() * 0.3)
        os.kill(writer.pid, signal.SIGKILL)
        said = writer.stdout.read().split()
        told = max([told, *map(int, said)])
        writer.wait()
        with open_gallery(path) as gallery:
            names = [f'frame{n:06d}' for n in range(told + 1)]
            assert gallery.has_frames(names).all()
            # What was not acknowledged is there as a whole or not at all.
            num = gallery.info()['frames']
            assert gallery.count() == 3 * num
            assert num in (told + 1, told + 2)
            start = num
            last = gallery.people_in(names[-1], embeddings=True)
            wanted = np.random.default_rng(told).standard_normal((3, DIM))
            wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
            np.testing.assert_allclose(last.embeddings, wanted, atol=1e-6)


def test_unfinished_writes_are_dropped_at_open(gallery, tmp_path, caplog):
    fill(gallery, 3)
    before = contents(gallery)
    gallery.close()
    folder = tmp_path / 'g'
    whole = sorted(folder.glob('*.npy'))[-1].read_bytes()
    (folder / '00000099.npy').write_bytes(whole[:60])  # torn
    (folder / '00000098.npz.tmp').write_bytes(b'PK')
    with caplog.at_level(logging.WARNING), open_gallery(folder) as again:
        assert contents(again) == before
        assert not list(folder.glob('*.tmp'))
        assert not (folder / '00000099.npy').exists()
        fill(again, 1, start=3)
        assert len(contents(again)) == 8
    assert '2 unfinished' in caplog.text


def test_reader_does_not_clean_up_after_a_writer(gallery, tmp_path):
    (tmp_path / 'g' / '00000050.npy').write_bytes(b'half')
    with open_gallery(tmp_path / 'g', read_only=True):
        assert (tmp_path / 'g' / '00000050.npy').exists()


@pytest.mark.parametrize('kind', ['npy', 'npz'])
@pytest.mark.parametrize('harm', ['missing', 'short', 'junk'])
def test_broken_files_are_named(gallery, tmp_path, kind, harm):
    fill(gallery, 2)
    gallery.close()
    path = sorted((tmp_path / 'g').glob(f'*.{kind}'))[0]
    if harm == 'missing':
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if harm == 'short' else b'x')
    with pytest.raises(GalleryError, match=path.name):
        open_gallery(tmp_path / 'g')
    # The lock was given back: the error stays the same.
    with pytest.raises(GalleryError, match=path.name):
        open_gallery(tmp_path / 'g')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(version=2), 'format version 2'),
        (dict(format='other'), 'is no gallery'),
        (dict(dim='wide'), 'header'),
        (dict(dim=7), '8 dimensions, the header says 7'),
        (dict(metric='angle'), 'metric'),
        (dict(segments=['../../etc/passwd']), 'segments'),
        (dict(segments=None), 'segments'),
        (dict(segments=['00000000'] * 2), 'each once'),
        (dict(segments=['\u0660' * 8]), 'segments'),
        (dict(segments=['0' * 300]), 'segments'),
        (dict(replaces=['00000009']), 'none of the segments'),
        (dict(dtype='float16'), 'float32 numbers, the header says float16'),
        (dict(dim=8.0), 'dim'),
        (dict(dim=True), 'dim'),
        (dict(model=None), 'model: expected a text'),
        (dict(model=['m']), 'model: expected a text'),
        (dict(root=5), 'root: expected a text'),
        (dict(threshold='0.5'), 'threshold: expected a number'),
        (dict(threshold=float('nan')), 'threshold: expected a number'),
        (dict(det_thr=10**400), 'det_thr: expected a number'),
        (dict(created=None), 'created: expected a number'),
    ],
)
def test_broken_header_is_refused(gallery, tmp_path, change, message):
    fill(gallery, 1)
    gallery.close()
    path = tmp_path / 'g' / 'gallery.json'
    content = json.loads(path.read_text()) | change
    del content['checksum']
    path.write_text(json.dumps(content))
    with pytest.raises(GalleryError, match=message):
        open_gallery(tmp_path / 'g')


def test_manifest_is_compared_with_its_checksum(gallery, tmp_path):
    fill(gallery, 2)
    gallery.add([Frame('f0000')], rows_of('f0000', seed=1))
    gallery.close()
    path = tmp_path / 'g' / 'gallery.json'
    content = json.loads(path.read_text())
    assert content['replaces']
    # Without it the rows that were replaced would be there again.
    changed = content | dict(replaces=[])
    path.write_text(json.dumps(changed))
    with pytest.raises(GalleryError, match='another checksum'):
        open_gallery(tmp_path / 'g')
    # A value changed on purpose, and galleries of before.
    del content['checksum']
    path.write_text(json.dumps(content | dict(model='renamed')))
    with open_gallery(tmp_path / 'g') as gallery:
        assert gallery.header.model == 'renamed'
        assert len(gallery) == 4


def test_manifest_that_is_no_json(gallery, tmp_path):
    gallery.close()
    (tmp_path / 'g' / 'gallery.json').write_text('{"format"')
    with pytest.raises(GalleryError, match='gallery.json: broken'):
        open_gallery(tmp_path / 'g')


def test_pickles_are_not_loaded(gallery, tmp_path):
    fill(gallery, 1)
    gallery.close()
    (path,) = (tmp_path / 'g').glob('*.npy')
    np.save(path, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(GalleryError, match=path.name):
        open_gallery(tmp_path / 'g')


def test_one_writer_many_readers(gallery, tmp_path):
    with pytest.raises(GalleryLockedError, match='another process'):
        open_gallery(tmp_path / 'g')
    fill(gallery, 1)
    with open_gallery(tmp_path / 'g', read_only=True) as reader:
        assert reader.count() == 2
        # It sees what is added, merged and deleted from now on.
        fill(gallery, 30, start=1)
        gallery.delete(frames=['f0000'])
        gallery.set_threshold(0.25)
        assert reader.count() == 60
        assert contents(reader) == contents(gallery)
        assert reader.header.threshold == 0.25
    gallery.close()
    open_gallery(tmp_path / 'g').close()


def test_searches_go_on_while_rows_are_added(gallery, tmp_path):
    fill(gallery, 4)
    query = rows_of('f0002').embeddings[:1]
    errors, done = [], threading.Event()

    def search(reader):
        try:
            while not done.is_set():
                found = reader.search(query, 3)
                assert found.ids[0, 0] == stable_id('f0002#0')
                reader.get(found.ids[0])
        except Exception as err:
            errors.append(err)

    with open_gallery(tmp_path / 'g', read_only=True) as reader:
        threads = [
            threading.Thread(target=search, args=(one,))
            for one in (gallery, reader)
        ]
        for thread in threads:
            thread.start()
        fill(gallery, 60, start=4)
        gallery.persist()
        done.set()
        for thread in threads:
            thread.join()
    assert not errors


def test_merging_keeps_everything_and_its_order(gallery, tmp_path):
    same = np.ones((1, DIM), np.float32)
    for n in range(200):
        rows = rows_of(f'f{n:04d}', 1)
        rows.embeddings = same
        gallery.add([Frame(f'f{n:04d}')], rows)
    assert gallery.info()['segments'] < 25
    files = {p.name for p in (tmp_path / 'g').glob('*.np*')}
    assert len(files) == 2 * gallery.info()['segments']
    wanted = [stable_id(f'f{n:04d}#0') for n in range(200)]
    assert gallery.search(same, 200).ids[0].tolist() == wanted
    gallery.persist()
    assert gallery.info()['segments'] == 1
    assert gallery.search(same, 200).ids[0].tolist() == wanted


def test_deleted_rows_stay_deleted_when_segments_merge(gallery, tmp_path):
    """Moved, then deleted: the oldest copy must not come back."""
    fill(gallery, 20)
    moved = rows_of('f0003')
    gallery.add([Frame('elsewhere')], moved)
    gallery.delete(frames=['elsewhere'])
    fill(gallery, 20, start=20)  # merges the tail, not the front
    assert not set(moved.ids.tolist()) & set(contents(gallery))
    before = contents(gallery)
    gallery.persist()
    assert contents(gallery) == before
    gallery.close()
    with open_gallery(tmp_path / 'g') as again:
        assert contents(again) == before


def test_persist_gives_space_back(gallery):
    fill(gallery, 40, people=100)
    gallery.persist()
    before = gallery.info()['bytes']
    gallery.delete(frames=[f'f{n:04d}' for n in range(35)])
    gallery.persist()
    assert gallery.info()['bytes'] < before / 3
    assert gallery.count() == 500


def test_segments_stay_below_a_size(gallery, monkeypatch):
    monkeypatch.setattr(module, '_MERGE_BYTES', 6000)
    fill(gallery, 60)
    gallery.delete(frames=[f'f{n:04d}' for n in range(50)])
    before = contents(gallery)
    gallery.persist()
    assert contents(gallery) == before
    assert gallery.info()['segments'] > 1


def test_half_precision_takes_half_the_space(tmp_path):
    sizes = {}
    for dtype in ('float32', 'float16'):
        header = GalleryHeader(dim=256, dtype=dtype)
        with create_gallery(tmp_path / dtype, header) as gallery:
            rows = rows_of('f', 500, dim=256)
            gallery.add([Frame('f')], rows)
            gallery.persist()
            sizes[dtype] = gallery.info()['bytes']
            found = gallery.search(rows.embeddings[:20], 1)
            assert found.ids[:, 0].tolist() == rows.ids[:20].tolist()
            np.testing.assert_allclose(found.similarities, 1, atol=1e-3)
    assert sizes['float16'] < 0.6 * sizes['float32']


def test_too_large_for_half_precision(tmp_path):
    header = GalleryHeader(dim=2, dtype='float16', metric='ip')
    with create_gallery(tmp_path / 'g', header) as gallery:
        rows = rows_of('f', 1, dim=2)
        rows.embeddings = np.array([[1e6, 1]])
        with pytest.raises(GalleryError, match='too large for float16'):
            gallery.add([Frame('f')], rows)
        assert gallery.count() == 0


def test_create_refuses_what_is_there(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='something already'):
        create_gallery(tmp_path, GalleryHeader(dim=2))
    assert [p.name for p in tmp_path.iterdir()] == ['notes.txt']


def test_extreme_lengths_are_scaled(tmp_path):
    with create_gallery(tmp_path / 'g', GalleryHeader(dim=4)) as gallery:
        rows = rows_of('f', 2, dim=4)
        rows.embeddings = np.array([[1e30, 0, 0, 0], [0, 1e-30, 0, 0]])
        gallery.add([Frame('f')], rows)
        found = gallery.search(np.array([[0, 1e-38, 0, 0]]), 2)
        np.testing.assert_array_equal(found.similarities, [[1, 0]])


def test_pieces_hold_marks_and_empty_frames(gallery):
    fill(gallery, 3)
    gallery.add([Frame('done', 'film.mp4', -2), Frame('empty')],
                GalleryRows.empty(DIM))  # fmt: skip
    names, people = [], 0
    for frames, rows in gallery.pieces(2):
        names += [frame.name for frame in frames]
        people += len(rows)
        owners = {frames[i].name for i in rows.frames}
        assert all(stable_id(f'{name}#0') in rows.ids for name in owners)
    assert names == ['f0000', 'f0001', 'f0002', 'done', 'empty']
    assert people == 6
    assert gallery.info()['frames'] == 4
    assert 'done' not in [frame.name for frame in gallery.list_frames()]


def test_names_that_are_no_unicode(gallery):
    with pytest.raises(GalleryError, match='valid Unicode'):
        gallery.add([Frame('a\udcff')], GalleryRows.empty(DIM))
    assert not gallery.has_frames(['a\udcff']).any()


@pytest.mark.parametrize(('lowest', 'num'), [(1e300, 0), (-1e300, 2)])
def test_scores_beyond_single_precision(gallery, lowest, num):
    fill(gallery, 1)
    assert gallery.count(Filters(min_score=lowest)) == num


def test_blocks_and_filters(gallery, monkeypatch):
    """More than one block of a segment, whole and in part."""
    monkeypatch.setattr(topk, '_FIRST_ROWS', 7)
    monkeypatch.setattr(topk, '_BLOCK_ROWS', 16)
    fill(gallery, 40, people=3)
    gallery.persist()
    assert gallery.info()['segments'] == 1
    gallery.delete(frames=['f0011', 'f0030'])
    kept = {}
    for rows, frames in gallery.scan():
        for i in range(len(rows)):
            camera = frames[rows.frames[i]].camera
            kept[int(rows.ids[i])] = (rows.embeddings[i], camera)
    query = rows_of('f0007').embeddings[0]
    query /= np.linalg.norm(query)
    for filters in (None, Filters(cameras=['c1']), Filters(before=20.0)):
        found = gallery.search(query[None], 25, filters)
        allowed = [
            (-float(vector @ query), row)
            for row, (vector, camera) in kept.items()
            if filters is None or filters.cameras in (None, [camera])
        ]
        if filters is not None and filters.before:
            names = [f'f{n:04d}' for n in range(20) if n != 11]
            early = {stable_id(f'{n}#{i}') for n in names for i in range(3)}
            allowed = [pair for pair in allowed if pair[1] in early]
        wanted = [row for _, row in sorted(allowed)[:25]]
        assert found.ids[0].tolist() == wanted


class Crash(BaseException):
    pass


@pytest.mark.parametrize('seed', range(12))
def test_any_sequence_with_crashes_equals_a_dict(tmp_path, monkeypatch, seed):
    """Crashes before and after any file is written; tiny segments."""
    rng = random.Random(seed)
    monkeypatch.setattr(
        module, '_MERGE_BYTES', rng.choice([2000, 6000, 10**8])
    )
    monkeypatch.setattr(module, '_MERGE_COUNT', rng.choice([2, 3, 8]))
    left = [-1]

    def write(path, writer):
        if left[0] == 0 and rng.random() < 0.5:
            raise Crash
        files.write_whole(path, writer)
        if left[0] == 0:
            raise Crash
        left[0] -= 1

    monkeypatch.setattr(module, 'write_whole', write)
    monkeypatch.setattr(segments, 'write_whole', write)

    def shown(gallery):
        return {
            (int(row), frames[frame].name)
            for rows, frames in gallery.scan(7)
            for row, frame in zip(rows.ids, rows.frames)
        }

    gallery = create_gallery(tmp_path / 'g', GalleryHeader(dim=DIM))
    truth: dict[int, str] = {}
    try:
        for _ in range(40):
            before, after = dict(truth), dict(truth)
            kind = rng.choice(['add', 'add', 'add', 'delete', 'persist'])
            names = rng.sample('abcdefgh', rng.randint(1, 3))
            rows = {i: rng.choice(names) for i in rng.sample(range(14), 4)}
            left[0] = rng.choice([-1, -1, -1, 0, 1, 2, 3])
            if kind != 'persist':
                gone = set(names) if kind == 'add' else set(names[:1])
                cut = rows if kind == 'add' else list(rows)[:2]
                after = {
                    i: name for i, name in after.items()
                    if name not in gone and i not in cut
                }  # fmt: skip
            if kind == 'add':
                after |= rows
            try:
                if kind == 'add':
                    gallery.add(
                        [Frame(name) for name in names],
                        GalleryRows(
                            list(rows),
                            [names.index(name) for name in rows.values()],
                            np.zeros((4, 4)),
                            np.ones(4),
                            np.ones((4, DIM)),
                        ),
                    )
                elif kind == 'delete':
                    gallery.delete(list(rows)[:2], names[:1])
                else:
                    gallery.persist()
                truth = after
            except Crash:
                left[0] = -1
                if rng.random() < 0.7:
                    gallery.close()
                    gallery = open_gallery(tmp_path / 'g')
                else:  # as after Ctrl-C in a notebook
                    gallery.persist()
                found = shown(gallery)
                assert found in (set(before.items()), set(after.items()))
                truth = dict(found)
            left[0] = -1
            assert shown(gallery) == set(truth.items())
            if rng.random() < 0.2:
                gallery.close()
                gallery = open_gallery(tmp_path / 'g')
                assert shown(gallery) == set(truth.items())
    finally:
        gallery.close()


def test_close_waits_for_writers_and_ends_them(tmp_path):
    """What was acknowledged before is there; afterwards nothing is taken."""
    for attempt in range(4):
        path = tmp_path / f'g{attempt}'
        gallery = create_gallery(path, GalleryHeader(dim=DIM))
        done: list[str] = []

        def add(name, gallery=gallery, done=done):
            for n in range(200):
                try:
                    gallery.add([Frame(f'{name}{n}')], rows_of(f'{name}{n}'))
                except GalleryError:
                    return
                done.append(f'{name}{n}')

        threads = [threading.Thread(target=add, args=(x,)) for x in 'abc']
        for thread in threads:
            thread.start()
        time.sleep(0.15)
        gallery.close()
        for thread in threads:
            thread.join()
        with open_gallery(path) as again:
            assert again.has_frames(done).all()
            assert again.count() == 2 * len(done)


def test_closed_gallery_answers_nothing(gallery, tmp_path):
    fill(gallery, 1)
    for one in (open_gallery(tmp_path / 'g', read_only=True), gallery):
        one.close()
        one.close()
        search = partial(one.search, np.ones((1, DIM)))
        for ask in (one.count, one.info, one.cameras, search):
            with pytest.raises(GalleryError, match='is closed'):
                ask()


def test_reader_notices_a_gallery_built_anew(gallery, tmp_path):
    fill(gallery, 1)
    with open_gallery(tmp_path / 'g', read_only=True) as reader:
        assert reader.count() == 2
        gallery.close()
        shutil.rmtree(tmp_path / 'g')
        header = GalleryHeader(dim=DIM, model='other', created=1.0)
        with create_gallery(tmp_path / 'g', header) as other:
            fill(other, 2)
            with pytest.raises(GalleryError, match='was built anew'):
                reader.search(np.ones((1, DIM)))


def test_creation_that_failed_can_be_repeated(tmp_path, monkeypatch):
    def write(path, writer):
        raise OSError('no space left')

    with monkeypatch.context() as patch:
        patch.setattr(module, 'write_whole', write)
        with pytest.raises(OSError, match='no space'):
            create_gallery(tmp_path / 'g', GalleryHeader(dim=DIM))
    create_gallery(tmp_path / 'g', GalleryHeader(dim=DIM)).close()


def test_thresholds_and_names_are_checked(gallery):
    for value in (float('nan'), float('inf')):
        with pytest.raises(GalleryError, match='threshold'):
            gallery.set_threshold(value)
    with pytest.raises(GalleryError, match='expected a list'):
        gallery.delete(frames='f0001')


def test_reader_that_is_overtaken_by_a_merge(gallery, tmp_path, monkeypatch):
    """It reads the manifest, and a segment is gone: it reads that again."""
    fill(gallery, 3)
    load, merged = Segment.load, []

    def overtaken(folder, name, **options):
        if not merged:
            merged.append(name)
            gallery._merge_from(0)
        return load(folder, name, **options)

    monkeypatch.setattr(Segment, 'load', overtaken)
    with open_gallery(tmp_path / 'g', read_only=True) as reader:
        assert merged
        assert len(reader) == len(gallery)
