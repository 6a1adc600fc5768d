"""Tests of result files of real runs: reproducible and complete."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmps.checkpoints.reading import hash_weights, read_checkpoint, weights_of
from mmps.engine.launch import build_runner
from mmps.results.comparison import SAME, compare_results
from mmps.results.result_file import read_results
from mmps.testing import tiny_two_stage
from mmps.utils.part_imports import import_parts

from process_group import start_program

ROOT = Path(__file__).parents[3]


def config(scenes, work_dir):
    """A tiny OIM; nothing that it finds is thrown away."""
    import_parts()
    file = scenes.parent / 'tiny.py'
    names = 'datasets/scenes.py', 'default_runtime.py'
    bases = [str(ROOT / 'configs' / '_base_' / name) for name in names]
    file.write_text(f'_base_ = {bases}')
    cfg = Config.fromfile(file)
    cfg.work_dir = str(work_dir)
    # mmengine gives runs of one name and second the log of the first.
    cfg.experiment_name = '-'.join(work_dir.parts[-2:])
    cfg.model = tiny_two_stage(num_ids='auto')
    # Hardly trained, it finds people only among many boxes.
    cfg.model.rpn_head.anchor_generator.scales = [1, 2]
    cfg.model.test_cfg.rpn.update(nms_pre=1000, max_per_img=150)
    cfg.model.test_cfg.rcnn.update(max_per_img=150)
    cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    cfg.test_cfg = dict(type='TestLoop')
    cfg.optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
    cfg.test_evaluator.update(det_thr=0, score_thr=0)
    for split in ('train', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(scenes)
        for transform in loader.dataset.pipeline:
            for name in {'scale', 'crop_size', 'size'} & set(transform):
                transform[name] = (192, 128)
    # Equal batches, however many processes there are.
    cfg.test_dataloader.batch_size = 1
    # mmengine keeps visualizers by name, with the folder of their first use.
    cfg.visualizer.name = str(work_dir)
    cfg.visualizer.vis_backends = []
    return cfg


def train(scenes, work_dir, seed):
    cfg = config(scenes, work_dir)
    cfg.randomness = dict(seed=seed)
    build_runner(cfg).train()
    return work_dir / 'iter_3.pth'


def evaluate(scenes, work_dir, checkpoint, **changes):
    cfg = config(scenes, work_dir)
    cfg.load_from = str(checkpoint)
    cfg.merge_from_dict(changes)
    runner = build_runner(cfg)
    runner.register_hook(dict(type='mmps.ResultsHook'))
    metrics = runner.test()
    (path,) = work_dir.glob('*/results.json')
    return path, metrics


@pytest.fixture(scope='module')
def checkpoint(scenes, tmp_path_factory):
    return train(scenes, tmp_path_factory.mktemp('train0'), seed=0)


@pytest.fixture(scope='module')
def tested(scenes, checkpoint, tmp_path_factory):
    return evaluate(scenes, tmp_path_factory.mktemp('test0'), checkpoint)


def test_holds_what_the_run_was(tested, checkpoint):
    path, metrics = tested
    found = read_results(path)
    assert found['figures'] == metrics
    assert 0 < metrics['person_search/mAP'] < 1
    assert found['protocol']['main'] == 'regular'
    assert found['protocol']['det_thr'] == 0
    assert found['protocol']['gallery_boxes'] == 'detected'
    state = weights_of(read_checkpoint(checkpoint))
    assert found['weights'] == dict(sha256=hash_weights(state), iter=3)
    assert found['seed'] == dict(training=0, test=None)
    assert found['data']['counts']['frames'] == 7
    assert (found['data']['name'], found['data']['split']) == ('PRW', 'test')
    assert found['config']['name'] == 'tiny.py'
    assert found['inference']['test_cfg']['rcnn']['score_thr'] == 0
    assert found['predictions'] is None
    assert found['device'].startswith('CPU')
    log = MMLogger.get_current_instance().handlers[-1].baseFilename
    assert Path(log).parents[1].name == path.parents[1].name
    assert str(path) in Path(log).read_text()


def test_nothing_of_the_machine_or_the_time_is_in_it(tested, scenes):
    text = tested[0].read_text()
    assert str(scenes.parent) not in text
    assert tested[0].parent.name not in text  # the time
    assert str(ROOT) not in text


def test_same_seed_same_figures_to_the_last_digit(scenes, tested, tmp_path):
    """Trained and tested anew: every byte of the file is the same."""
    again = train(scenes, tmp_path / 'train', seed=0)
    path, _ = evaluate(scenes, tmp_path / 'test', again)
    assert path.read_bytes() == tested[0].read_bytes()


def test_another_seed_gives_other_weights(scenes, tested, tmp_path):
    state = read_checkpoint(train(scenes, tmp_path, seed=1))
    found = read_results(tested[0])['weights']['sha256']
    assert found != hash_weights(weights_of(state))


def test_what_decides_the_figures_is_seen(
    scenes, checkpoint, tested, tmp_path
):
    path, _ = evaluate(
        scenes,
        tmp_path,
        checkpoint,
        **{
            'test_evaluator.det_thr': 0.4,
            'test_evaluator.cbgm': True,
            'test_evaluator.outfile': str(tmp_path / 'p.npz'),
            'model.test_cfg.rcnn.use_gt_boxes': True,
            'randomness': dict(seed=5),
        },
    )
    found = read_results(path)
    assert len(found['predictions']) == 64
    assert found['seed'] == dict(training=0, test=5)
    comparison = compare_results(read_results(tested[0]), found)
    assert comparison.verdict == (
        'not comparable: det_thr is 0.0 and 0.4; cbgm is not set and k1=30 '
        'k2=4 same_person_iou=0.4; gallery_boxes is detected and annotated'
    )


def test_weights_are_those_that_were_tested(scenes, checkpoint, tmp_path):
    """With EMAHook these are not the model's own."""
    state = read_checkpoint(checkpoint)
    averaged = {
        k: v * 0.5 if v.is_floating_point() else v
        for k, v in weights_of(state).items()
    }
    own = {f'module.{k}': v for k, v in weights_of(state).items()}
    own['steps'] = torch.tensor(1)
    # As EMAHook saves: the averaged weights in the place of the model's.
    state.update(state_dict=averaged, ema_state_dict=own)
    torch.save(state, tmp_path / 'ema.pth')
    path, _ = evaluate(
        scenes,
        tmp_path / 'ema',
        tmp_path / 'ema.pth',
        custom_hooks=[dict(type='EMAHook')],
    )
    found = read_results(path)['weights']
    assert found['sha256'] == hash_weights(averaged)


def test_two_processes_write_the_same_file(
    scenes, checkpoint, tested, tmp_path, free_port
):
    cfg = config(scenes, tmp_path / 'two')
    cfg.visualizer.pop('name')
    file = tmp_path / 'tiny.py'
    cfg.dump(file)
    argv = [ROOT / 'tools' / 'test.py', file, checkpoint]
    argv = [*map(str, argv), '--launcher', 'pytorch']
    # As torchrun starts them.
    env = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port)
    logs = [tmp_path / f'{rank}.log' for rank in range(2)]
    processes = [
        start_program(
            argv,
            {**os.environ, **env, 'RANK': f'{rank}', 'LOCAL_RANK': f'{rank}'},
            tmp_path,
            logs[rank],
        )
        for rank in range(2)
    ]
    for process, log in zip(processes, logs):
        process.join(240)
        process.kill()
        assert process.exitcode == 0, log.with_suffix('.err').read_text()
    (path,) = (tmp_path / 'two').glob('*/results.json')
    found = compare_results(read_results(tested[0]), read_results(path))
    assert found.status == SAME, found.verdict
    assert path.read_bytes() == tested[0].read_bytes()
