"""Tests of the scenes configs: each trains a step and predicts."""

import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmps.engine.launch import build_runner
from mmps.models.memories import IdentityMemory
from mmps.structures import SearchPredictions
from mmps.utils.part_imports import import_parts

ROOT = Path(__file__).parents[2] / 'configs'
NAMES = sorted(
    p.relative_to(ROOT).as_posix() for p in ROOT.glob('*/*_scenes*.py')
)
# One of each kind of network trains in every run.
QUICK = {
    f'{name}_r18_scenes.py'
    for name in ('oim', 'ugas-seqnet', 'coat', 'pcnet', 'alignps', 'pstr')
}
CONFIGS = [
    pytest.param(
        name, marks=() if Path(name).name in QUICK else pytest.mark.slow
    )
    for name in NAMES
]


def tiny(name, scenes, work_dir):
    cfg = Config.fromfile(ROOT / name)
    cfg.work_dir = str(work_dir)
    cfg.train_cfg.update(max_iters=1, val_interval=1)
    cfg.randomness = dict(seed=0)
    # mmengine keeps visualizers by name, with the folder of their first use.
    cfg.visualizer.name = work_dir.name
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(scenes)
        # The size of the frames.
        for transform in loader.dataset.pipeline:
            for key in {'scale', 'crop_size', 'size'} & set(transform):
                transform[key] = (192, 128)
    cfg.val_evaluator.outfile = str(work_dir / 'predictions.npz')
    return cfg


@pytest.mark.parametrize('name', CONFIGS)
def test_trains_and_predicts(name, scenes, tmp_path):
    import_parts()
    runner = build_runner(tiny(name, scenes, tmp_path))
    memories = [
        m for m in runner.model.modules() if isinstance(m, IdentityMemory)
    ]
    assert {m.num_ids for m in memories} == {0}
    runner.train()
    for memory in memories:
        assert memory.num_ids == 6
        assert memory.prototypes_filled.any()
    preds = SearchPredictions.load(tmp_path / 'predictions.npz')
    queries = (scenes / 'query_info.txt').read_text().split('\n')
    assert len(preds.query_embeddings) == len([q for q in queries if q])
    norms = np.linalg.norm(preds.query_embeddings, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_runs_need_no_extra(scenes, tmp_path, monkeypatch):
    """TensorBoard comes with an extra; a run logs without it."""
    for module in ('torch.utils.tensorboard', 'tensorboardX'):
        monkeypatch.setitem(sys.modules, module, None)
    import_parts()
    cfg = tiny('oim/oim_r18_scenes.py', scenes, tmp_path)
    visualizer = build_runner(cfg).visualizer
    assert list(visualizer._vis_backends) == ['LocalVisBackend']


def test_there_are_scenes_configs():
    assert 'pcnet/pcnet_r18_scenes.py' in NAMES
