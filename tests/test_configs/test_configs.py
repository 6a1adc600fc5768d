"""Tests of all configs: they load and build."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmps.registry import HOOKS, METRICS, MODELS, TRANSFORMS

from shapes_only import shapes_only

ROOT = Path(__file__).parents[2] / 'configs'
CONFIGS = sorted(
    p.relative_to(ROOT).as_posix()
    for p in ROOT.glob('*/*.py')
    if p.parent.name != '_base_'
)


@pytest.fixture(autouse=True)
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def drop_pretrained(cfg: dict) -> None:
    """Weights are fetched at training, not at construction; be sure."""
    cfg.get('backbone', {}).pop('init_cfg', None)


@pytest.mark.parametrize('name', CONFIGS)
def test_config_builds(name):
    cfg = Config.fromfile(ROOT / name)
    drop_pretrained(cfg.model)
    with shapes_only():
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) > 1e6
    for split in ('train', 'val', 'test'):
        for transform in cfg[f'{split}_dataloader'].dataset.pipeline:
            TRANSFORMS.build(transform)
    METRICS.build(cfg.test_evaluator)
    for hook in cfg.custom_hooks:
        HOOKS.build(hook)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end


@pytest.mark.parametrize(
    'name', [name for name in CONFIGS if name.endswith('_r18_scenes.py')]
)
def test_can_be_inherited_from_elsewhere(tmp_path, name):
    """mmengine then looks for every name in the scope of mmps."""
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = 'mmps::{name}'\n")
    built = []
    for file in (path, ROOT / name):
        cfg = Config.fromfile(file)
        pipeline = cfg.test_dataloader.dataset.pipeline
        with shapes_only():
            model = MODELS.build(cfg.model)
        built.append(
            [
                str(model),
                *(type(TRANSFORMS.build(step)) for step in pipeline),
                vars(METRICS.build(cfg.test_evaluator))['settings'],
            ]
        )
    inherited, own = built
    assert inherited == own


def test_there_are_configs():
    assert 'pcnet/pcnet_r50_prw.py' in CONFIGS


def test_what_configs_share_is_in_base_files():
    for name in CONFIGS:
        text = (ROOT / name).read_text()
        assert 'param_scheduler[1]' not in text, name
        assert 'queue_size=500' not in text, name


def test_lsps_is_read_as_prw_is():
    prw, lsps = (
        Config.fromfile(ROOT / '_base_' / 'datasets' / f'{name}.py').to_dict()
        for name in ('prw', 'lsps')
    )
    own = dict(dataset_type='mmps.LSPSDataset', data_root='data/LSPS')
    prw.update(own)
    for split in ('train', 'val', 'test'):
        prw[f'{split}_dataloader']['dataset'].update(
            type='mmps.LSPSDataset', data_root='data/LSPS'
        )
    assert lsps == prw


def head(name):
    return Config.fromfile(ROOT / 'pcnet' / name).model.bbox_head


@pytest.mark.parametrize('variant', ['', '-light', '-multi'])
@pytest.mark.parametrize('data', ['prw', 'cuhk-sysu'])
def test_box_targets_of_paper_and_release(variant, data):
    """RetinaNet's at weight 1; divided by stds at a quarter of that."""
    cfg = head(f'pcnet{variant}_r50_{data}.py')
    assert cfg.bbox_coder.target_stds == [1.0, 1.0, 1.0, 1.0]
    loss = dict(type='SmoothL1Loss', beta=0.11, loss_weight=1.0)
    assert cfg.loss_bbox == loss
    release = head(f'pcnet-release{variant}_r50_{data}.py')
    assert release.bbox_coder.target_stds == [0.1, 0.1, 0.2, 0.2]
    weight = 1.25 if (variant, data) == ('-multi', 'cuhk-sysu') else 0.25
    assert release.loss_bbox == {**loss, 'loss_weight': weight}


def test_release_trains_the_weights_of_batch_norm():
    for name, learns in (('pcnet', False), ('pcnet-release', True)):
        cfg = Config.fromfile(ROOT / 'pcnet' / f'{name}_r50_prw.py')
        backbone = cfg.model.backbone
        backbone.init_cfg = None
        with shapes_only():
            net = MODELS.build(backbone)
        net.train()
        norms = {
            key: module
            for key, module in net.named_modules()
            if isinstance(module, nn.BatchNorm2d)
        }
        assert not any(norm.training for norm in norms.values())
        for key, norm in norms.items():
            stage = key.startswith(('layer2', 'layer3', 'layer4'))
            assert norm.weight.requires_grad == (learns and stage)


@pytest.mark.parametrize('variant', ['pcnet', 'pcnet-multi'])
def test_figures_of_table_5_are_a_test_of_the_same_weights(variant):
    names = (f'{variant}_r50_prw.py', f'{variant}_r50_prw_table5.py')
    base, cfg = (Config.fromfile(ROOT / 'pcnet' / name) for name in names)
    test_cfg = dict(
        base.model.test_cfg, average_iou_thr=0.6, query_average_iou_thr=0.5
    )
    assert cfg.model == {**base.model, 'test_cfg': test_cfg}
    assert cfg.train_dataloader == base.train_dataloader
    for split in ('val', 'test'):
        resize = cfg[f'{split}_dataloader'].dataset.pipeline[1]
        assert resize.scale == (1500, 900)


def test_ablations_take_away_what_they_say():
    full = head('pcnet_r50_prw.py')
    table = {
        'table1-cpp': ('aggregation', 'loss_dist', 'loss_tri'),
        'table1-cpp-dist': ('aggregation', 'loss_tri'),
        'table1-cpp-dist-csa': ('loss_tri',),
        'table1-conv': (
            'point_pooling',
            'aggregation',
            'loss_dist',
            'loss_tri',
        ),
        'table1-conv-csa-tri': ('point_pooling', 'loss_dist'),
        'table2-reid-from-reg': ('det_from', 'reid_from'),
        'table2-reid-from-cls': ('det_from', 'reid_from'),
        'table3-parallel-cpp': ('det_from', 'aggregation', 'loss_tri'),
    }
    for row, changed in table.items():
        ablation = head(f'pcnet_r50_prw_{row}.py')
        differs = {
            key
            for key in {*full, *ablation}
            if full.get(key) != ablation.get(key)
        }
        assert differs == set(changed), row
