"""Searching pictures whose people are looked for only if they are likely."""

import cv2
import numpy as np
import pytest
import torch

from mmps.apis import PersonModel, PersonSearcher, SceneIndex
from mmps.apis.frame_sources import InputOptions
from mmps.gallery import Filters, Frame
from mmps.structures import scene_scores
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from scene_pictures import BOX, CONFIG, OPTIONS, paint_pictures


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return PersonModel(load_config(CONFIG, OPTIONS), device='cpu', det_thr=0.0)


@pytest.fixture
def pictures(tmp_path):
    paint_pictures(tmp_path)
    return tmp_path


@pytest.fixture
def searcher(model, tmp_path_factory):
    gallery = str(tmp_path_factory.mktemp('gallery') / 'g')
    with PersonSearcher(model, gallery=gallery).gallery as opened:
        yield PersonSearcher(model, gallery=opened)


def files(folder):
    return sorted(str(path) for path in folder.glob('*.png'))


def test_scenes_are_those_of_a_detecting_pass(model, pictures):
    images = [cv2.imread(name) for name in files(pictures)[:3]]
    # Batches have pictures of one size only.
    images[1] = images[1][:150]
    prepared = [model.prepare(image) for image in images]
    scenes = model.embed_scenes(prepared)
    for ready, scene in zip(prepared, scenes, strict=True):
        with torch.inference_mode():
            (sample,) = model.model.test_step(
                {key: [value] for key, value in ready.items()}
            )
        np.testing.assert_allclose(
            sample.scene_embedding.numpy(), scene, atol=1e-6
        )
    assert model.embed_scenes([]).shape == (0, scenes.shape[1])
    filters, vector = model.scene_filter(images[0], BOX)
    assert filters.shape == (3, scenes.shape[1])
    np.testing.assert_allclose(
        model.find(images[0], np.array([BOX]))[1][0], vector, atol=1e-6
    )


def test_index_grows_is_stored_and_read(searcher, pictures, tmp_path):
    whole = searcher.index_scenes(files(pictures)[:2])
    first = whole.embeddings
    seen = []
    searcher.index_scenes(
        str(pictures), scenes=whole, progress=lambda *done: seen.append(done)
    )
    assert seen == [(i, 6) for i in range(2, 7)]
    assert whole.names == files(pictures)
    np.testing.assert_array_equal(whole.embeddings[:2], first)
    whole.save(tmp_path / 'scenes.npz')
    read = SceneIndex.load(tmp_path / 'scenes.npz')
    assert read.model_hash == whole.model_hash
    np.testing.assert_equal(read.frames, whole.frames)
    np.testing.assert_array_equal(read.embeddings, whole.embeddings)
    # No gallery of people has come of it.
    assert not searcher.gallery.has_frames(whole.names).any()


def test_what_is_done_stays_when_indexing_ends_early(searcher, pictures):
    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    scenes = SceneIndex(searcher.model.weights_hash)
    with pytest.raises(KeyboardInterrupt):
        searcher.index_scenes(str(pictures), scenes=scenes, progress=stop)
    assert scenes.names == files(pictures)[:4]
    searcher.index_scenes(str(pictures), scenes=scenes)
    whole = searcher.index_scenes(str(pictures))
    np.testing.assert_equal(scenes.frames, whole.frames)
    np.testing.assert_allclose(scenes.embeddings, whole.embeddings, atol=1e-6)
    with pytest.raises(ValueError, match='occurs twice'):
        scenes.add(whole.frames[:1], whole.embeddings[:1])
    assert len(scenes) == len(scenes.embeddings) == 6


def test_pictures_without_an_embedding_are_named(
    searcher, pictures, monkeypatch
):
    (pictures / '4.png').write_bytes(b'no picture')
    embed = searcher.model.embed_scenes

    def broken(prepared):
        found = embed(prepared)
        found[0, 0] = np.nan
        return found

    monkeypatch.setattr(searcher.model, 'embed_scenes', broken)
    # Batches of four: 0 to 3, then 4 and 5.
    scenes = searcher.index_scenes(str(pictures))
    names = files(pictures)
    assert scenes.names == names[1:4]
    for name, error in zip((names[0], *names[4:]), scenes.bad, strict=True):
        assert name in error
    assert scenes.bad[0].endswith('0.png: the picture has no embedding')


def test_a_sliver_is_one_bad_file(searcher, pictures):
    """Nothing is left of it at the scale of the model."""
    cv2.imwrite(str(pictures / '5.png'), np.zeros((1, 5000, 3), np.uint8))
    scenes = searcher.index_scenes(str(pictures))
    assert scenes.names == files(pictures)[:5]
    (error,) = scenes.bad
    assert '5.png: 5000 x 1 pixels cannot be scaled' in error


def test_people_are_detected_where_they_are_likely(searcher, pictures):
    names = files(pictures)
    scenes = searcher.index_scenes(str(pictures))
    query = cv2.imread(names[0])
    filters, vector = searcher.model.scene_filter(query, BOX)
    scores = scene_scores(filters[None], scenes.embeddings)[0]
    np.testing.assert_array_equal(scenes.scores(filters), scores)
    thr = float(np.sort(scores)[3])
    likely = [name for name, s in zip(names, scores) if s >= thr]
    likely = [name for name in likely if name != names[0]]

    found = searcher.search_scenes(names[0], BOX, scenes, thr, threshold=-1)
    assert found.num_frames == 5
    assert found.num_likely == found.num_detected == len(likely)
    assert searcher.gallery.has_frames(names).tolist() == [
        name in likely for name in names
    ]
    order = []
    for name in likely:
        (people,) = searcher.model.detect([cv2.imread(name)])
        similarities = people.embeddings @ vector
        factor = scores[names.index(name)]
        order += [(-s * factor, name) for s in similarities]
    want = [name for _, name in sorted(order)][:20]
    assert [match.frame.name for match in found.matches] == want

    # The same people need not be detected twice.
    again = searcher.search_scenes(names[0], BOX, scenes, thr, threshold=-1)
    assert again.num_detected == 0
    assert [m.id for m in again.matches] == [m.id for m in found.matches]
    whole = searcher.search_scenes(names[0], BOX, scenes, 0.0, threshold=-1)
    assert whole.num_likely == 5
    assert whole.num_detected == 5 - len(likely)
    nothing = searcher.search_scenes(names[0], BOX, scenes, 1.0, threshold=-1)
    assert nothing.nobody


def test_answers_know_their_camera_and_time(searcher, pictures):
    options = InputOptions(camera_regex=r'(\d)\.png', file_times=True)
    scenes = searcher.index_scenes(str(pictures), options)
    query = files(pictures)[0]
    found = searcher.search_scenes(query, BOX, scenes, 0.0, threshold=-1)
    assert {m.frame.camera for m in found.matches} == set('12345')
    assert all(m.frame.time > 0 for m in found.matches)


def test_nobody_is_detected_where_filters_do_not_look(searcher, pictures):
    options = InputOptions(camera_regex=r'(\d)\.png')
    scenes = searcher.index_scenes(str(pictures), options)
    query = files(pictures)[0]
    only = Filters(cameras=['3'])
    found = searcher.search_scenes(
        query, BOX, scenes, 0.0, filters=only, threshold=-1
    )
    assert {m.frame.camera for m in found.matches} == {'3'}
    counts = (found.num_frames, found.num_likely, found.num_detected)
    assert counts == (1, 1, 1)


@pytest.mark.parametrize(
    ('filters', 'names'),
    [
        (Filters(), 'abcd'),
        (Filters(cameras=['1']), 'ab'),
        (Filters(cameras=[]), ''),
        (Filters(exclude_cameras=['1', '']), 'c'),
        (Filters(after=2.0), 'bc'),
        (Filters(before=3.0), 'ab'),
        (Filters(after=2.0, before=3.0), 'b'),
        (Filters(frames=['a', 'c', 'x']), 'ac'),
        (Filters(frames=['a', 'c'], exclude_frames=['c']), 'a'),
        # Of people, not of pictures.
        (Filters(min_score=2.0), 'abcd'),
    ],
)
def test_pictures_that_pass(filters, names):
    frames = [
        Frame('a', camera='1', time=1.0),
        Frame('b', camera='1', time=2.0),
        Frame('c', camera='2', time=3.0),
        Frame('d'),
    ]
    scenes = SceneIndex('hash', frames, np.eye(4, dtype=np.float32))
    passing = scenes.passing(filters)
    assert ''.join(np.array(scenes.names)[passing]) == names
    assert not len(SceneIndex('hash').passing(filters))


def test_others_in_the_gallery_take_no_place(searcher, pictures, monkeypatch):
    monkeypatch.setattr('mmps.apis.person_searcher.RERANKED', 2)
    names = files(pictures)
    searcher.index(names[3:])
    scenes = searcher.index_scenes(names[1:3])
    found = searcher.search_scenes(
        names[0], BOX, scenes, 0.0, k=3, threshold=-1
    )
    assert len(found.matches) == 3
    assert {m.frame.name for m in found.matches} <= set(names[1:3])


def test_a_picture_that_is_gone_is_named(searcher, pictures):
    names = files(pictures)
    scenes = searcher.index_scenes(str(pictures))
    (pictures / '2.png').unlink()
    found = searcher.search_scenes(names[0], BOX, scenes, 0.0, threshold=-1)
    assert (found.num_likely, found.num_detected) == (5, 4)
    (bad,) = found.bad
    assert '2.png' in bad
    assert len(found.matches) > 4


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('names', ['a', 'a'], 'a occurs twice'),
        ('sources', ['a'], 'sources: expected 2, got 1'),
        ('cameras', [1, 2], 'cameras: expected a list of strings'),
        ('times', ['x', 'y'], 'times: expected numbers'),
        ('times', 1.0, r'times: expected shape \(2\)'),
        ('embeddings', np.ones((1, 3)), r'embeddings: expected shape \(2, '),
        ('embeddings', np.full((2, 3), np.nan), 'embeddings'),
    ],
)
def test_a_file_that_holds_something_else(tmp_path, field, value, message):
    path = tmp_path / 'scenes.npz'
    frames = [Frame('a', 'a', camera='c', time=1.0), Frame('b', 'b')]
    SceneIndex('hash', frames, np.ones((2, 3), np.float32)).save(path)
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, field: np.asarray(value)})
    with pytest.raises(UsageError, match=f'no index of scenes: .*{message}'):
        SceneIndex.load(path)


def test_what_does_not_fit_is_refused(searcher, pictures, tmp_path):
    with pytest.raises(UsageError, match='of another model; make it anew'):
        searcher.search_scenes(files(pictures)[0], BOX, SceneIndex('other'))
    with pytest.raises(UsageError, match=r'missing\.npz: no index of scenes'):
        SceneIndex.load(tmp_path / 'missing.npz')
    plain = PersonModel('configs/seqnext/seqnext_r18_scenes.py', device='cpu')
    assert not plain.has_scenes
    with pytest.raises(UsageError, match='no gallery_filter'):
        PersonSearcher(plain).index_scenes(str(pictures))
