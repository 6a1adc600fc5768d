"""Tests of ``mmps-search`` with an index of scenes."""

import json

import pytest
import torch

from mmps.apis import PersonModel, SceneIndex
from mmps.apis.scene_index import scenes_file
from mmps.apis.shipped_models import build_model
from mmps.gallery import (
    GalleryHeader,
    create_gallery,
    gallery_exists,
    open_gallery,
)
from mmps.utils.config import load_config

from scene_pictures import BOX, CONFIG, OPTIONS, paint_pictures


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Words of the command line."""
    torch.manual_seed(0)
    weights = tmp_path_factory.mktemp('model') / 'seqnext-gfn.pth'
    torch.save(build_model(load_config(CONFIG)).state_dict(), weights)
    options = [f'{key}={value}' for key, value in OPTIONS.items()]
    return [
        '--model', CONFIG, weights, '--cfg-options', *options,
        '--device', 'cpu', '--det-thr', 0,
    ]  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    return paint_pictures(tmp_path / 'pictures')


def test_people_are_detected_once_a_query_asks(run, model, pictures, tmp_path):
    gallery = tmp_path / 'street'
    folder = tmp_path / 'pictures'
    code, out, err = run(
        'index', gallery, *model, '--scenes', '--camera-regex', r'(\d)\.png',
        '--root', folder, *pictures[:4],
    )  # fmt: skip
    assert code == 0, err
    path = scenes_file(gallery)
    assert out.startswith('4 pictures added; 0 were there; 0 could not be ')
    assert '4/4' in err
    (folder / '6.png').write_bytes(b'no picture')
    code, out, err = run('index', gallery, *model, '--scenes', folder)
    assert code == 0, err
    assert out.startswith('2 pictures added; 4 were there; 1 could not be ')
    assert 'skipped: ' in err
    assert '6.png' in err
    scenes = SceneIndex.load(path)
    assert scenes.names == [f'{i}.png' for i in range(6)]
    assert [frame.camera for frame in scenes.frames[:4]] == list('0123')
    with open_gallery(gallery, read_only=True) as people:
        assert people.count() == 0

    words = ('query', gallery, *model, pictures[0], '--box', *BOX)
    words = (*words, '--scenes', '--scene-thr', 0, '--threshold', -1)
    code, out, err = run(*words, '--exclude-camera', 3, '--json')
    assert code == 0, err
    found = json.loads(out)
    assert (found['num_frames'], found['num_likely']) == (4, 4)
    assert (found['num_detected'], found['bad']) == (4, [])
    frames = {match['frame'] for match in found['matches']}
    assert frames <= {'1.png', '2.png', '4.png', '5.png'}
    code, out, _ = run(*words)
    assert '5 of 5 pictures are likely; people detected in 1\n' in out
    code, out, _ = run(*words, '--scene-thr', 1)
    assert '0 of 5 pictures are likely; people detected in 0\n' in out
    assert 'nobody' in out


def test_what_was_embedded_is_kept_when_indexing_ends_early(
    run, model, pictures, tmp_path, monkeypatch
):
    prepare = PersonModel.prepare

    def interrupted(self, image, boxes=None):
        if image[0, 0, 0] >= 160:  # the fifth picture, see paint_pictures
            raise KeyboardInterrupt
        return prepare(self, image, boxes)

    monkeypatch.setattr(PersonModel, 'prepare', interrupted)
    words = ('index', tmp_path / 'street', *model, '--scenes', *pictures)
    assert run(*words, '--batch-size', 2)[0] != 0
    path = scenes_file(tmp_path / 'street')
    assert SceneIndex.load(path).names == pictures[:4]


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('index', '--tracks'), '--scenes goes with neither --tracks nor'),
        (('index', '--launcher', 'ray'), '--scenes goes with neither'),
        (('query',), '--scenes takes one picture with a --box'),
        (('query', '--box', *BOX, '--rerank'), 'goes with none of --context'),
        (('query', '--box', *BOX, '--expand', 3), 'goes with none of'),
        (('query', '--box', *BOX, '--context'), 'goes with none of'),
        (('query', '--box', *BOX), 'scenes.npz: not there; index --scenes'),
    ],
)
def test_what_makes_no_sense_is_refused(
    run, pictures, tmp_path, words, message
):
    """Before a model is loaded."""
    gallery = tmp_path / 'street'
    create_gallery(gallery, GalleryHeader(dim=2)).close()
    verb, *words = words
    model = ('--model', CONFIG, 'none.pth')
    code, _, err = run(verb, gallery, *model, pictures[0], '--scenes', *words)
    assert code == 2
    assert message in err


def test_a_model_without_a_gallery_filter_is_refused(run, pictures, tmp_path):
    config = 'configs/seqnext/seqnext_r18_scenes.py'
    weights = tmp_path / 'seqnext.pth'
    torch.save(build_model(load_config(config)).state_dict(), weights)
    code, _, err = run(
        'index', tmp_path / 'street', '--model', config, weights,
        '--device', 'cpu', '--scenes', *pictures,
    )  # fmt: skip
    assert code == 2
    assert 'seqnext_r18_scenes: the model has no gallery_filter' in err
    assert not gallery_exists(tmp_path / 'street')


def test_a_person_of_the_gallery_has_no_scene_filter(run, tmp_path):
    gallery = tmp_path / 'street'
    create_gallery(gallery, GalleryHeader(dim=2)).close()
    code, _, err = run('query', gallery, '--person', 1, '--scenes')
    assert code == 2
    assert '--scenes needs a picture with a --box' in err
