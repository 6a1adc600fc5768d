"""Train a model that a config describes."""

import argparse
import os

from mmengine.config import Config

from mmps.checkpoints.resuming import newest_checkpoint, seed_to_resume
from mmps.cli.common import add_config_args, add_trust_arg, run_cli
from mmps.engine.launch import (
    LAUNCHERS,
    build_runner,
    close_processes,
    lost_workers_explained,
    set_amp,
    set_launcher,
    set_work_dir,
)
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts


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
        const='last',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a value, from the newest one '
        'in the work dir that can be read; "auto" starts anew if there is '
        'none',
    )
    add_trust_arg(parser)
    parser.add_argument('--seed', type=int, help='seed of the run')
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='what started the processes, if there are several',
    )
    # torch.distributed.launch passes it; torchrun sets the variable instead.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    return args


def set_resume(
    cfg: Config, resume: str | None, seed: int | None, trust: bool = False
) -> None:
    """Choose the checkpoint to go on from; its run's seed goes with it.

    Args:
        cfg: Changed in place; its ``work_dir`` is set.
        resume: None, a checkpoint, ``'last'`` for the newest in work_dir
            that can be read, or ``'auto'`` for that one if there is any.
        seed: From the command line.
        trust: Of :func:`~mmps.checkpoints.reading.read_checkpoint`.

    Raises:
        UsageError: There is nothing to resume, or it has another seed.
    """
    if resume is None:
        return
    resumed_seed = None
    if resume in ('last', 'auto'):
        found = newest_checkpoint(cfg, trust=trust)
        if found is None and resume == 'auto':
            say(f'{cfg.work_dir} has no checkpoint: training starts anew')
            return
        if found is None:
            raise UsageError(
                f'--resume: {cfg.work_dir} has no checkpoint to resume from '
                '(--resume=auto starts anew then)'
            )
        resume, resumed_seed = found.path, found.seed
        for reason in found.passed_over:
            say(f'passed over: {reason}')
    elif '://' not in resume:
        existing_file(resume, '--resume: checkpoint')
        resumed_seed = seed_to_resume(resume, trust=trust)
    say(f'going on from {resume}')
    if resumed_seed is not None:
        if seed not in (None, resumed_seed):
            raise UsageError(
                f'--seed {seed}: the run in {resume} has seed {resumed_seed}'
            )
        set_seed(cfg, resumed_seed)
    cfg.resume, cfg.load_from = True, resume


def set_seed(cfg: Config, seed: int) -> None:
    """Set the seed of the run."""
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}


def say(text: str) -> None:
    """Print a line, from one process of several."""
    if os.environ.get('RANK', '0') == '0':
        print(text, flush=True)


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
        set_seed(cfg, args.seed)
    set_resume(cfg, args.resume, args.seed, args.trust_checkpoint)
    if cfg.get('load_from') and '://' not in cfg.load_from:
        existing_file(cfg.load_from, 'load_from: checkpoint')
    set_launcher(cfg, args.launcher)
    runner = build_runner(cfg, args.trust_checkpoint)
    with lost_workers_explained():
        runner.train()
    close_processes()


if __name__ == '__main__':
    run_cli(main)
