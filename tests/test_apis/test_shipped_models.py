"""Tests of list_models and get_model."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmps
from mmps.apis import PersonModel, get_model, list_models
from mmps.apis.shipped_models import model_zoo
from mmps.checkpoints.published import FAMILIES
from mmps.models.dense_heads import PCNetHead
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from painted import paint_frame

ROOT = Path(__file__).parents[2]
NAME = 'pcnet_r18_scenes'


def test_every_config_has_one_name():
    files = [
        path
        for path in ROOT.glob('configs/*/*.py')
        if path.parent.name != '_base_'
    ]
    assert list_models() == sorted(path.stem for path in files)
    assert len(set(list_models())) == len(files) > 100


@pytest.mark.parametrize(
    ('pattern', 'names'),
    [
        ('oim_*_prw', ['oim_r50_prw']),
        ('nae?plus_*_prw', ['nae-plus_r50_prw']),
        ('[hn]*_r18_scenes', ['hoim-base_r18_scenes', 'hoim_r18_scenes',
                              'nae_r18_scenes']),
        (NAME, [NAME]),
        ('pcnet', []),  # whole names
        ('OIM_*', []),
        ('schedule*', []),  # bases are no models
    ],
)  # fmt: skip
def test_pattern(pattern, names):
    assert list_models(pattern) == names


def test_those_that_others_have_published():
    """Every family's configs are in the zoo, and all of it can be loaded."""
    names = list_models(published=True)
    assert 'seqnet-release_r50_prw_cbgm' in names
    assert 'seqnet_r50_prw' not in names
    assert set(names) <= set(list_models())
    zoo = {one['config']: one for f in model_zoo() for one in f['models']}
    assert names == sorted(zoo)
    for family in FAMILIES.values():
        for dataset, config in family.configs.items():
            entry = zoo.get(config, zoo.get(f'{config}_cbgm'))
            assert entry['dataset'].lower() == dataset
    assert list_models('nae-r*', published=True) == [
        'nae-release_r50_cuhk-sysu', 'nae-release_r50_prw'
    ]  # fmt: skip


def test_installation_without_configs(tmp_path, monkeypatch):
    monkeypatch.setattr(mmps, '__file__', str(tmp_path / '__init__.py'))
    with pytest.raises(UsageError, match='no configs in it; install mmps'):
        list_models()


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    """Weights that no seed gives again."""
    model = get_model(NAME)
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data.add_(noise, alpha=0.01)
    path = tmp_path_factory.mktemp('weights') / 'pcnet.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def test_model_is_ready_for_prediction(checkpoint):
    model = get_model(NAME, checkpoint)
    assert isinstance(model.bbox_head, PCNetHead)
    assert not any(module.training for module in model.modules())
    assert {p.device.type for p in model.parameters()} == {'cpu'}
    assert isinstance(model.cfg, Config)
    stored = torch.load(checkpoint, weights_only=True)['state_dict']
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, stored[key], rtol=0, atol=0)
    assert all(p.requires_grad for p in model.bbox_head.parameters())


def test_it_predicts_as_the_model_of_the_searcher(checkpoint):
    low = {'model.test_cfg.score_thr': 0.0, 'model.test_cfg.max_per_img': 5}
    cfg = load_config(NAME, low)
    wanted = PersonModel(cfg, checkpoint, device='cpu', det_thr=0.0)
    image = paint_frame([(0, 60, 90), (2, 150, 80)], size=(384, 216))[0]
    (found,) = wanted.detect([image])
    assert len(found) == 5

    model = get_model(cfg, checkpoint)
    data = wanted.prepare(image)
    batch = {key: [value] for key, value in data.items()}
    with torch.no_grad():
        (sample,) = model.test_step(batch)
    people = sample.pred_instances
    torch.testing.assert_close(
        people.embeddings, torch.from_numpy(found.embeddings)
    )
    torch.testing.assert_close(people.bboxes, torch.from_numpy(found.bboxes))


@pytest.mark.parametrize(
    'name',
    [
        'mmps::pcnet/pcnet_r18_scenes.py',
        'configs/pcnet/pcnet_r18_scenes.py',
        Path('configs/pcnet/pcnet_r18_scenes.py'),
    ],
)
def test_other_ways_to_name_it(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert isinstance(get_model(name).bbox_head, PCNetHead)


@pytest.mark.parametrize('scope', ['mmdet', 'mmps', 'mmengine'])
def test_registry_scope_of_the_program_does_not_matter(scope):
    init_default_scope(scope)
    try:
        assert isinstance(get_model(NAME).bbox_head, PCNetHead)
    finally:
        init_default_scope('mmdet')


def test_backbone_is_not_downloaded(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError('a download')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', forbidden)
    model = get_model('oim_r50_prw')
    assert model.cfg.model.backbone.init_cfg.type == 'Pretrained'
    assert 'Pretrained' not in str(model.backbone.init_cfg)


@pytest.mark.gpu
def test_device():
    model = get_model(NAME, device='cuda:0')
    assert {p.device.type for p in model.parameters()} == {'cuda'}


def test_a_checkpoint_of_another_model(checkpoint):
    with pytest.raises(UsageError, match='does not fit the config'):
        get_model('pcnet-light_r18_scenes', checkpoint)


def test_a_checkpoint_that_could_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ('this must not be printed',))

    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict={}, evil=Evil()), path)
    with pytest.raises(UsageError, match='holds more than weights'):
        get_model(NAME, path)


def test_unknown_name():
    with pytest.raises(UsageError, match='did you mean pcnet_r50_prw'):
        get_model('pcnet_r50_prv')


def test_the_readme_tells_what_is_there():
    readme = (ROOT / 'README.md').read_text()
    pattern, names = re.search(
        r"^names = list_models\('(.*)'\)\n# (\[.*?\])", readme, re.MULTILINE
    ).groups()
    assert names == str(list_models(pattern))
