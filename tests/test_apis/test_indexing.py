import os
import time

import cv2
import mmcv
import numpy as np
import pytest

from mmps.apis import indexing as module
from mmps.apis.frame_sources import InputOptions, Picture, expand_inputs
from mmps.apis.indexing import Indexer
from mmps.gallery import (
    GalleryMismatchError,
    create_gallery,
    open_gallery,
    stable_id,
)

from painted import PaintedPeopleModel, paint_frame


@pytest.fixture
def gallery(model, tmp_path):
    with create_gallery(tmp_path / 'gallery', model.header()) as gallery:
        yield gallery


def everything(gallery):
    found = {}
    for rows, frames in gallery.scan():
        for i in range(len(rows)):
            found[int(rows.ids[i])] = (
                frames[rows.frames[i]].name,
                rows.bboxes[i].tolist(),
                float(rows.scores[i]),
                rows.embeddings[i].tobytes(),
            )
    return found


def test_every_person_of_every_frame(model, gallery, frames):
    items = expand_inputs(frames)
    told = []
    report = Indexer(model).fill(gallery, items, lambda *x: told.append(x))
    assert (report.frames, report.people, report.skipped) == (12, 36, 0)
    assert told[-1] == (12, 12)
    wanted = {}
    for item in items:
        (found,) = model.detect([cv2.imread(item.path)])
        for n in range(len(found)):
            unit = found.embeddings[n] / np.linalg.norm(found.embeddings[n])
            wanted[stable_id(f'{item.frame.name}#{n}')] = (
                item.frame.name, found.bboxes[n].tolist(),
                float(found.scores[n]), unit,
            )  # fmt: skip
    got = everything(gallery)
    assert got.keys() == wanted.keys()
    for key, (*rest, vector) in got.items():
        assert rest == list(wanted[key][:3])
        stored = np.frombuffer(vector, np.float32)
        np.testing.assert_allclose(stored, wanted[key][3], atol=1e-6)
    frame = gallery.list_frames()[0]
    assert (frame.width, frame.height) == (640, 360)


def test_second_call_does_nothing(model, gallery, frames):
    items = expand_inputs(frames)
    Indexer(model).fill(gallery, items)
    before, looked = everything(gallery), model.num_images
    report = Indexer(model).fill(gallery, items)
    assert (report.frames, report.skipped) == (0, 12)
    assert model.num_images == looked
    assert everything(gallery) == before


@pytest.mark.parametrize('tracks', [False, True])
def test_interrupted_indexing_goes_on(
    model, tmp_path, frames, video, monkeypatch, tracks
):
    """The same gallery as without an interruption, nothing done twice."""
    monkeypatch.setattr(module, '_WRITE_EVERY', 4)
    items = expand_inputs([frames, video], InputOptions(video_fps=10))

    class Broken(PaintedPeopleModel):
        def predict(self, prepared):
            if self.num_images >= limit:
                raise RuntimeError('power failure')
            return super().predict(prepared)

    galleries = []
    for name, limits in (('whole', [99]), ('parts', [5, 6, 14, 99])):
        uri = tmp_path / name
        create_gallery(uri, model.header()).close()
        for limit in limits:
            broken = Broken()
            with open_gallery(uri) as gallery:
                try:
                    Indexer(broken, 2, tracks=tracks).fill(gallery, items)
                except RuntimeError:
                    assert limit < 99
        with open_gallery(uri) as gallery:
            num = gallery.info()['frames']
            galleries.append((num, everything(gallery)))
    assert galleries[0] == galleries[1]
    assert len(galleries[0][1]) == (36 + 2 if tracks else 36 + 40)


def test_finished_video_is_not_decoded_again(
    model, gallery, video, monkeypatch
):
    items = expand_inputs(video)
    Indexer(model).fill(gallery, items)
    monkeypatch.setattr(module, 'read_video', None)
    report = Indexer(model).fill(gallery, items)
    assert (report.frames, report.skipped) == (0, items[0].num_frames)
    # Another rate looks at other frames.
    monkeypatch.undo()
    more = expand_inputs(video, InputOptions(video_fps=None))
    report = Indexer(model).fill(gallery, more)
    assert (report.frames, report.skipped) == (16, 4)


def test_deleted_frame_of_a_video_is_looked_at_again(model, gallery, video):
    items = expand_inputs(video)
    whole = Indexer(model).fill(gallery, items)
    before = everything(gallery)
    gallery.delete(frames=[gallery.list_frames()[1].name])
    report = Indexer(model).fill(gallery, items)
    assert (report.frames, report.skipped) == (1, whole.frames - 1)
    assert everything(gallery) == before
    assert Indexer(model).fill(gallery, items).frames == 0


def test_bad_files_are_reported_and_left_out(model, gallery, frames, tmp_path):
    whole = (frames / 'cam0' / '0.png').read_bytes()
    folder = tmp_path / 'some'
    folder.mkdir()
    (folder / 'a.png').write_bytes(whole)
    (folder / 'b.png').write_bytes(whole[: len(whole) // 2])
    (folder / 'c.png').write_bytes(b'')
    (folder / 'd.png').write_bytes(whole)
    report = Indexer(model).fill(gallery, expand_inputs(folder))
    assert (report.frames, report.people) == (2, 6)
    assert len(report.bad) == 2
    assert 'b.png' in report.bad[0]
    assert 'empty' in report.bad[1]
    # They were not marked as done: once repaired, they are indexed.
    (folder / 'b.png').write_bytes(whole)
    (folder / 'c.png').unlink()
    report = Indexer(model).fill(gallery, expand_inputs(folder))
    assert (report.frames, report.skipped, report.bad) == (1, 2, [])


@pytest.mark.parametrize('tracks', [False, True])
def test_a_sliver_or_an_odd_file_is_one_bad_file(gallery, tmp_path, tracks):
    """What cannot be scaled, is gone or has no name in UTF-8."""

    class Scaling(PaintedPeopleModel):
        def prepare(self, image, boxes=None):
            mmcv.imrescale(image, (1333, 800))
            return super().prepare(image, boxes)

    image, _ = paint_frame([(0, 100, 140)])
    for name in ('a.png', 'z.png'):
        cv2.imwrite(str(tmp_path / name), image)
    cv2.imwrite(str(tmp_path / 'b.png'), np.full((1, 5000, 3), 99, np.uint8))
    for name in ('c.png', 'd.mp4'):
        (tmp_path / name).symlink_to(tmp_path / 'gone')
    for name in (b'e\xff.png', b'f\xff.mp4'):
        with open(os.fsencode(tmp_path) + b'/' + name, 'wb') as file:
            file.write((tmp_path / 'a.png').read_bytes())
    items = expand_inputs(tmp_path, InputOptions(file_times=True))
    assert len({stable_id(str(item)) for item in items}) == 7
    indexer = Indexer(Scaling(), tracks=tracks)
    report = indexer.fill(gallery, items)
    assert (report.frames, report.people) == (2, 2)
    for error, words in zip(
        report.bad,
        (
            'b.png: 5000 x 1 pixels cannot be scaled',
            'c.png: cannot be read',
            'd.mp4: no such video',
            "e\\udcff.png': the name is not UTF-8",
            "f\\udcff.mp4': the name is not UTF-8",
        ),
        strict=True,
    ):
        assert words in error
        assert str(tmp_path) in error
    again = indexer.fill(gallery, items)
    assert (again.frames, again.skipped, again.bad) == (0, 2, report.bad)


def test_frames_without_people_are_remembered(gallery, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((60, 80, 3), 99, np.uint8))
    model = PaintedPeopleModel()
    items = expand_inputs(tmp_path / 'a.png')
    assert Indexer(model).fill(gallery, items).frames == 1
    assert Indexer(model).fill(gallery, items).skipped == 1
    assert model.num_images == 1


@pytest.mark.parametrize('batch_size', [1, 3, 50])
def test_batch_size_changes_nothing(model, gallery, frames, batch_size):
    items = expand_inputs(frames)
    Indexer(model, batch_size, num_workers=2).fill(gallery, items)
    frames_in = gallery.list_frames(0, 50)
    assert [f.name for f in frames_in] == [i.frame.name for i in items]
    assert len(everything(gallery)) == 36


def test_tracks_are_averages(model, gallery, video):
    (item,) = expand_inputs(video, InputOptions(video_fps=None))
    Indexer(model, tracks=True).fill(gallery, [item])
    assert gallery.count() == 2
    people = {}
    for rows, frames in gallery.scan():
        for i in range(len(rows)):
            people[int(rows.tracks[i])] = (
                rows.bboxes[i], rows.scores[i], rows.embeddings[i],
                frames[rows.frames[i]], int(rows.ids[i]),
            )  # fmt: skip
    walker = people[0]
    assert walker[4] == stable_id(f'{video}#tracks@all#track0')
    total, best = 0, (-1.0, None, None)
    for found in Indexer(model).chunks([item], lambda names: [False]):
        for frame, one in zip(found.rows.frames, range(len(found.rows))):
            if one != np.flatnonzero(found.rows.frames == frame)[0]:
                continue  # the walker is the first from the left
            score = float(found.rows.scores[one])
            total = total + score * found.rows.embeddings[one]
            if score > best[0]:
                best = (score, found.rows.bboxes[one], found.frames[frame])
    np.testing.assert_allclose(
        walker[2], total / np.linalg.norm(total), atol=1e-6
    )
    np.testing.assert_array_equal(walker[0], best[1])
    assert walker[3].source == best[2].source
    assert walker[3].name == f'{video}#tracks@all#{best[2].index:06d}'


def test_errors_of_the_model_reach_the_caller(gallery, frames):
    class Failing(PaintedPeopleModel):
        def prepare(self, image, boxes=None):
            raise MemoryError('no room')

    with pytest.raises(MemoryError, match='no room'):
        Indexer(Failing()).fill(gallery, expand_inputs(frames))


def test_names_of_pictures_in_unknown_encodings(model, gallery, tmp_path):
    path = tmp_path / 'größe 人 "1\'.png'
    cv2.imencode('.png', paint_frame([(1, 200, 150)])[0])[1].tofile(path)
    (item,) = expand_inputs(path)
    assert isinstance(item, Picture)
    Indexer(model).fill(gallery, [item])
    assert gallery.has_frames([str(path)]).all()


def test_ways_to_index_a_video_do_not_disturb_each_other(
    model, tmp_path, video
):
    """Frames, tracks, tracks at another rate: each adds its own rows."""
    ways = [(None, False), (None, True), (5, True), (5, False)]
    alone = {}
    for fps, tracks in ways:
        uri = tmp_path / f'{fps}{tracks}'
        items = expand_inputs(video, InputOptions(video_fps=fps))
        with create_gallery(uri, model.header()) as gallery:
            Indexer(model, tracks=tracks).fill(gallery, items)
            alone |= everything(gallery)
    with create_gallery(tmp_path / 'all', model.header()) as gallery:
        for fps, tracks in ways:
            items = expand_inputs(video, InputOptions(video_fps=fps))
            Indexer(model, tracks=tracks).fill(gallery, items)
        assert everything(gallery) == alone


def test_video_that_grew_is_looked_at_again(model, gallery, video, tmp_path):
    path = tmp_path / 'copy.avi'
    whole = video.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    first = Indexer(model).fill(
        gallery, expand_inputs(path, InputOptions(video_fps=None))
    )
    path.write_bytes(whole)
    second = Indexer(model).fill(
        gallery, expand_inputs(path, InputOptions(video_fps=None))
    )
    assert 0 < first.frames < 20
    assert first.frames + second.frames == 20


def test_another_threshold_of_scores_is_refused(gallery, frames, tmp_path):
    other = PaintedPeopleModel(det_thr=0.9)
    items = expand_inputs(frames)
    with pytest.raises(GalleryMismatchError, match='from 0.5, not from 0.9'):
        Indexer(other).fill(gallery, items)
    # A part of its own does not help: the whole is another.
    with (
        create_gallery(tmp_path / 'part', other.header()) as part,
        pytest.raises(GalleryMismatchError, match='from 0.5, not from 0.9'),
    ):
        Indexer(other).fill(part, items, known=gallery)


@pytest.mark.parametrize('value', [0.0, np.nan, np.inf])
def test_frame_with_an_unusable_embedding_is_reported(gallery, frames, value):
    class Odd(PaintedPeopleModel):
        def predict(self, prepared):
            results = super().predict(prepared)
            if self.num_images == 8:
                results[-1][0].embeddings[0] = value
            return results

    report = Indexer(Odd()).fill(gallery, expand_inputs(frames))
    assert report.frames == 11
    (bad,) = report.bad
    assert 'cam1/3.png: a person has no embedding' in bad


def test_broken_video_is_not_marked_as_done(model, gallery, tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'junk')
    items = expand_inputs(tmp_path)
    for _ in range(2):
        report = Indexer(model).fill(gallery, items)
        assert (report.frames, report.skipped) == (0, 0)
        assert 'a.mp4' in report.bad[0]


def test_errors_of_the_source_reach_the_consumer():
    """They are raised after what came before them."""

    def todo():
        for number in range(20):
            yield number, None
        raise OSError('the disk is gone')

    seen = []

    def consume():
        for number, result in module._ahead(
            todo(), lambda n, _: (n, n * n), 2, 3
        ):
            time.sleep(0.02)  # the queue is full meanwhile
            seen.append((number, result))

    with pytest.raises(OSError, match='the disk is gone'):
        consume()
    assert seen == [(n, n * n) for n in range(20)]
