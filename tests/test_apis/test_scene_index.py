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

from painted import paint_frame

CONFIG = 'configs/seqnext/seqnext-gfn_r18_scenes.py'
SMALL = {
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.rcnn.max_per_img': 4,
    'model.test_cfg.rcnn.before_last.score_thr': 0.0,
}
BOX = (40, 60, 80, 150)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return PersonModel(load_config(CONFIG, SMALL), device='cpu', det_thr=0.0)


@pytest.fixture
def pictures(tmp_path):
    """Six frames, of which no two look alike."""
    for i in range(6):
        people = [(j, 40 + 60 * j, 30 + 12 * i) for j in range(1 + i % 3)]
        image = paint_frame(people, size=(384, 216))[0]
        image[:, : 40 * i] = 40 * i
        cv2.imwrite(str(tmp_path / f'{i}.png'), image)
    return tmp_path


@pytest.fixture
def searcher(model, tmp_path_factory):
    gallery = str(tmp_path_factory.mktemp('gallery') / 'g')
    with PersonSearcher(model, gallery=gallery).gallery as opened:
        yield PersonSearcher(model, gallery=opened)


def files(folder):
    return sorted(str(path) for path in folder.glob('*.png'))


def test_scenes_are_those_of_a_detecting_pass(model, pictures):
    images = [cv2.imread(name) for name in files(pictures)[:2]]
    scenes = model.embed_scenes(images)
    for image, scene in zip(images, scenes):
        ready = model.prepare(image)
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
    first = searcher.index_scenes(files(pictures)[:2])
    seen = []
    whole = searcher.index_scenes(
        str(pictures), scenes=first, progress=lambda *done: seen.append(done)
    )
    assert seen == [(i, 6) for i in range(1, 7)]
    assert whole.names == files(pictures)
    np.testing.assert_array_equal(whole.embeddings[:2], first.embeddings)
    whole.save(tmp_path / 'scenes.npz')
    read = SceneIndex.load(tmp_path / 'scenes.npz')
    assert read.model_hash == whole.model_hash
    np.testing.assert_equal(read.frames, whole.frames)
    np.testing.assert_array_equal(read.embeddings, whole.embeddings)
    # No gallery of people has come of it.
    assert not searcher.gallery.has_frames(whole.names).any()
    (pictures / '9.png').write_bytes(b'no picture')
    assert len(searcher.index_scenes(str(pictures)).bad) == 1


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
    only = Filters(cameras=['3'])
    found = searcher.search_scenes(
        query, BOX, scenes, 0.0, filters=only, threshold=-1
    )
    assert {m.frame.camera for m in found.matches} == {'3'}


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
