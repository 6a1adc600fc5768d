"""Tests of the keys of --cfg-options that are accepted."""

import pytest
from mmengine.config import Config

from mmps.utils.cfg_options import check_cfg_options
from mmps.utils.errors import UsageError


@pytest.fixture
def cfg() -> Config:
    return Config(
        dict(
            default_scope='mmdet',
            data_root='data/',
            model=dict(
                type='RetinaNet',
                backbone=dict(type='ResNet', depth=50),
                neck=None,
                test_cfg=dict(score_thr=0.05, nms=dict(iou_threshold=0.5)),
                extra=dict(),
            ),
            train_dataloader=dict(
                batch_size=2,
                dataset=dict(
                    type='CocoDataset',
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(type='Resize', scale=(10, 10)),
                    ],
                ),
            ),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1),
            ),
            randomness=dict(seed=0),
            env_cfg=dict(dist_cfg=dict(backend='nccl')),
            auto_scale_lr=dict(base_batch_size=4),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook')),
            train_cfg=dict(by_epoch=True, max_epochs=3),
            custom=dict(type='NobodyKnowsIt'),
        )
    )


@pytest.mark.parametrize(
    'key',
    [
        'model.backbone.depth',  # there already
        'model.backbone.with_cp',  # argument of the class
        'model.backbone.init_cfg.checkpoint',  # new dict for an argument
        'model.backbone.type',
        'model.backbone._delete_',
        'model.extra.anything',  # an empty dict says nothing
        'train_dataloader.pin_memory',
        'train_dataloader.sampler.type',
        'train_dataloader.dataset.data_root',  # through **kwargs
        'train_dataloader.dataset.pipeline.1.keep_ratio',
        'optim_wrapper.accumulative_counts',
        'optim_wrapper.paramwise_cfg.norm_decay_mult',
        'optim_wrapper.optimizer.nesterov',
        'default_hooks.checkpoint.save_best',
        'default_hooks.checkpoint.priority',
        'randomness.deterministic',
        'env_cfg.cudnn_benchmark',
        'env_cfg.mp_cfg.opencv_num_threads',
        'env_cfg.dist_cfg.timeout',
        'auto_scale_lr.enable',
        'train_cfg.val_interval',
        'custom.whatever',  # its class is not known
        'load_from',  # read by the Runner
        'visualizer.type',
    ],
)
def test_accepted(cfg, key):
    before = cfg.to_dict()
    assert check_cfg_options(cfg, {key: 1}) == {key: 1}
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    ('key', 'guess'),
    [
        ('modl.backbone.depth', "'model'"),
        ('model.bakbone.depth', "'backbone'"),
        ('model.backbone.dept', "'depth'"),
        ('model.backbone.with_cpp', "'with_cp'"),
        ('model.test_cfg.score_th', "'score_thr'"),
        ('model.test_cfg.nms.iou_thresholdd', "'iou_threshold'"),
        ('train_dataloader.batchsize', "'batch_size'"),
        ('train_dataloader.dataset.dataroot', "'data_root'"),
        ('train_dataloader.dataset.pipeline.1.scales', "'scale'"),
        ('optim_wrapper.optimizer.nestrov', "'nesterov'"),
        ('optim_wrapper.clip_grads', "'clip_grad'"),
        ('default_hooks.chekpoint.interval', "'checkpoint'"),
        ('randomness.sed', "'seed'"),
        ('env_cfg.cudnn_benchmarks', "'cudnn_benchmark'"),
        ('env_cfg.dist_cfg.timout', "'timeout'"),
        ('train_cfg.max_epoch', "'max_epochs'"),
        ('load_form', "'load_from'"),
    ],
)
def test_refused_with_a_guess(cfg, key, guess):
    with pytest.raises(UsageError) as info:
        check_cfg_options(cfg, {key: 1})
    text = str(info.value)
    assert text.startswith(f'--cfg-options {key}: ')
    assert f'did you mean {guess}?' in text
    assert '+KEY=VALUE' in text
    assert check_cfg_options(cfg, {f'+{key}': 1}) == {key: 1}


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('train_dataloader.dataset.pipeline.2.x', 'is a list of 2'),
        ('train_dataloader.dataset.pipeline.first.x', "got 'first'"),
        ('train_dataloader.dataset.pipeline.-1.x', "got '-1'"),
        ('model.backbone.depth.x', 'is 50 and has no keys'),
        ('model.neck.x', 'is None and has no keys'),
        ('zzz', "the config has no key 'zzz' (+KEY"),
        ('model..depth', "model has no key ''"),
    ],
)
def test_refused_path(cfg, key, message):
    with pytest.raises(UsageError) as info:
        check_cfg_options(cfg, {key: 1})
    assert message in str(info.value)


def test_type_given_beside_decides(cfg):
    with pytest.raises(UsageError):
        check_cfg_options(cfg, {'model.backbone.groups': 32})
    options = {
        'model.backbone.groups': 32,
        'model.backbone.type': 'ResNeXt',
    }
    assert check_cfg_options(cfg, options) == options


@pytest.mark.parametrize('sign', ['', '+'])
def test_options_that_contradict_each_other(cfg, sign):
    options = {
        f'{sign}model.backbone': 5,
        f'{sign}model.backbone.depth': 18,
    }
    with pytest.raises(UsageError, match='model.backbone is set to 5, which'):
        check_cfg_options(cfg, options)
    options[f'{sign}model.backbone'] = dict(type='ResNet')
    assert len(check_cfg_options(cfg, options)) == 2


def test_a_variable_of_the_file_has_no_effect(cfg, capsys):
    check_cfg_options(cfg, {'data_root': 'elsewhere/'})
    assert 'warning: --cfg-options data_root' in capsys.readouterr().err
    check_cfg_options(cfg, {'train_cfg.max_epochs': 2})
    assert capsys.readouterr().err == ''
