"""Train a model that a config describes."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from mmps.utils.cli import (
    UsageError,
    add_config_args,
    existing_file,
    load_config,
    run_cli,
)
from mmps.utils.launch import (
    LAUNCHERS,
    build_runner,
    close_processes,
    set_amp,
    set_launcher,
    set_work_dir,
)
from mmps.utils.quiet import import_parts


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument(
        '--work-dir',
        help='folder of logs and checkpoints (default: work_dirs/CONFIG)',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 with loss scaling, bfloat16 on a CPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a value, from the last one in '
        'the work dir',
    )
    parser.add_argument('--seed', type=int, help='seed of the run')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    # torch.distributed.launch passes it; torchrun sets the variable instead.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    return args


def set_resume(cfg: Config, resume: str | None) -> None:
    """Choose the checkpoint to go on from.

    Args:
        cfg: Changed in place; its ``work_dir`` is set.
        resume: None, a checkpoint, or ``'auto'`` for the last in work_dir.

    Raises:
        UsageError: There is nothing to resume.
    """
    if resume is None:
        return
    cfg.resume = True
    cfg.load_from = None if resume == 'auto' else resume
    if resume == 'auto':
        noted = Path(cfg.work_dir, 'last_checkpoint')
        latest = find_latest_checkpoint(cfg.work_dir) if noted.exists() else ''
        if not latest:
            raise UsageError(
                f'--resume: {cfg.work_dir} has no checkpoint to resume from'
            )
        existing_file(latest, '--resume: checkpoint')
    elif '://' not in resume:
        existing_file(resume, '--resume: checkpoint')


def set_lr_scaling(cfg: Config) -> None:
    """Enable ``auto_scale_lr``; the config has to know its batch size."""
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError(
            '--auto-scale-lr: the config has no auto_scale_lr.base_batch_size'
        )
    cfg.auto_scale_lr.enable = True


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    cfg = load_config(args.config, args.cfg_options)
    if 'optim_wrapper' not in cfg:
        raise UsageError(f'config {args.config} has no training schedule')
    set_work_dir(cfg, args.work_dir, args.config)
    set_amp(cfg, args.amp)
    if args.auto_scale_lr:
        set_lr_scaling(cfg)
    if args.seed is not None:
        cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': args.seed}
    set_resume(cfg, args.resume)
    if cfg.get('load_from') and '://' not in cfg.load_from:
        existing_file(cfg.load_from, 'load_from: checkpoint')
    set_launcher(cfg, args.launcher)
    build_runner(cfg).train()
    close_processes()


if __name__ == '__main__':
    run_cli(main)
