"""Tests of the settings that count for a config's hash."""

import functools
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmps.results.config_record import (
    config_record,
    inference_record,
    plain_values,
)

ROOT = Path(__file__).parents[2] / 'configs'


@pytest.fixture(scope='module')
def nae():
    return Config.fromfile(ROOT / 'nae' / 'nae_r50_prw.py')


@pytest.fixture
def cfg(nae):
    return deepcopy(nae)


def sha256(cfg):
    return config_record(cfg)['sha256']


# How a run is carried out, as tools and launchers set it.
RUN_ONLY = {
    'work_dir': '/elsewhere',
    'launcher': 'pytorch',
    'load_from': 'x.pth',
    'resume': True,
    'log_level': 'DEBUG',
    'randomness': dict(seed=7),
    'visualizer.name': 'other',
    'default_hooks.checkpoint.interval': 3,
    'val_dataloader.batch_size': 7,
    'val_evaluator.det_thr': 0.1,
    'train_cfg.val_interval': 5,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.dataset.data_root': '/elsewhere',
    'test_dataloader.num_workers': 9,
    'test_dataloader.dataset.data_root': '/elsewhere',
    'test_evaluator.outfile': 'x.npz',
    'test_evaluator.collect_device': 'gpu',
    'env_cfg.dist_cfg.backend': 'gloo',
    'model_wrapper_cfg': dict(type='MMDistributedDataParallel'),
    'img_scale': (1, 1),  # a name of the config file, read by nobody else
}
COUNTS = {
    'model.test_cfg.rcnn.score_thr': 0.2,
    'model.test_cfg.rcnn.confidence_weighted': False,
    'model.roi_head.reid_head.memory.queue_size': 1,
    'test_dataloader.batch_size': 2,
    'test_dataloader.dataset.split': 'train',
    'test_cfg.fp16': True,
    'test_evaluator.det_thr': 0.4,
    'optim_wrapper.optimizer.lr': 1e-9,
    'train_cfg.max_iters': 1,
    'train_dataloader.batch_size': 1,
    'custom_hooks': [],
    'env_cfg.cudnn_benchmark': True,
}


@pytest.mark.parametrize('key', RUN_ONLY)
def test_run_only(cfg, key):
    wanted = sha256(cfg)
    cfg.merge_from_dict({key: RUN_ONLY[key]})
    assert sha256(cfg) == wanted


@pytest.mark.parametrize('key', COUNTS)
def test_counts(cfg, key):
    before = sha256(cfg)
    cfg.merge_from_dict({key: COUNTS[key]})
    assert sha256(cfg) != before


def test_input_size_counts(cfg):
    before = sha256(cfg)
    cfg.test_dataloader.dataset.pipeline[1].scale = (1333, 800)
    assert sha256(cfg) != before
    inference = inference_record(config_record(cfg)['content'])
    assert inference['pipeline'][1]['scale'] == [1333, 800]


def test_order_of_keys_does_not_matter(cfg):
    model = dict(reversed(cfg.model.items()))
    other = Config({**dict(reversed(cfg.items())), 'model': model})
    assert list(other.model) != list(cfg.model)
    assert sha256(other) == sha256(cfg)


def test_a_file_by_another_name_has_the_same_hash(cfg, tmp_path):
    file = tmp_path / 'renamed.py'
    cfg.dump(file)
    again = config_record(Config.fromfile(file))
    assert again['name'] == 'renamed.py'
    assert config_record(cfg)['name'] == 'nae_r50_prw.py'
    assert again['sha256'] == sha256(cfg)


def test_configs_have_hashes_of_their_own():
    hashes = set()
    for method in ('oim', 'pcnet', 'iidfc'):
        for file in ROOT.glob(f'{method}/{method}_*50_prw.py'):
            record = config_record(Config.fromfile(file))
            assert json.loads(json.dumps(record)) == record, file
            hashes.add(record['sha256'])
    assert len(hashes) == 3


def test_inference(cfg):
    cfg.test_dataloader.dataset = dict(
        type='RepeatDataset', times=1, dataset=cfg.test_dataloader.dataset
    )
    found = inference_record(config_record(cfg)['content'])
    assert found['test_cfg']['rcnn']['confidence_weighted'] is True
    assert found['test_cfg']['rcnn']['nms']['iou_threshold'] == 0.4
    assert found['data_preprocessor']['pad_size_divisor'] == 32
    assert found['pipeline'][0] == {'type': 'mmps.LoadFrame'}
    assert (found['batch_size'], found['fp16']) == (1, False)


def test_inference_of_a_data_set_alone():
    cfg = Config.fromfile(ROOT / '_base_' / 'datasets' / 'prw.py')
    found = inference_record(config_record(cfg)['content'])
    assert found['test_cfg'] is None
    assert found['pipeline'][1]['type'] == 'mmdet.Resize'
    assert inference_record({})['pipeline'] is None


def test_plain_values():
    class Thing:
        pass

    values = dict(
        kind=torch.nn.Linear,
        function=json.dumps,
        dtype=torch.float16,
        array=np.arange(3) / 2,
        scalar=np.float32(0.5),
        names={'b', 'a'},
        pair=(1, (2.5, None)),
        limits=[float('-inf'), float('nan')],
        path=Path('a/b'),
        thing=Thing(),
        partial=functools.partial(max, 3),
    )
    found = plain_values(values)
    assert found == plain_values({**values, 'thing': Thing()})
    assert '0x' not in found.pop('thing')
    assert '0x' not in found.pop('partial')
    assert found == dict(
        kind='torch.nn.modules.linear.Linear',
        function='json.dumps',
        dtype='torch.float16',
        array=[0.0, 0.5, 1.0],
        scalar=0.5,
        names=['a', 'b'],
        pair=[1, [2.5, None]],
        limits=['-inf', 'nan'],
        path='a/b',
    )
    json.dumps(found, allow_nan=False)
