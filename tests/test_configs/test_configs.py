"""Every config of the project loads and builds."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmps.registry import HOOKS, METRICS, MODELS, TRANSFORMS

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
    model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) > 1e6
    for split in ('train', 'val', 'test'):
        for transform in cfg[f'{split}_dataloader'].dataset.pipeline:
            TRANSFORMS.build(transform)
    METRICS.build(cfg.test_evaluator)
    for hook in cfg.custom_hooks:
        HOOKS.build(hook)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end


def test_there_are_configs():
    assert 'pcnet/pcnet_r50_prw.py' in CONFIGS


def head(name):
    return Config.fromfile(ROOT / 'pcnet' / name).model.bbox_head


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
