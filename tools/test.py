"""Test a checkpoint with the metric of its config."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config

from mmps.cli.common import add_config_args, add_trust_arg, run_cli
from mmps.engine.launch import (
    LAUNCHERS,
    build_runner,
    close_processes,
    lost_workers_explained,
    set_launcher,
    set_work_dir,
    writable_folder,
)
from mmps.utils.config import load_config, type_name
from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts

METRIC = 'PersonSearchMetric'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    add_trust_arg(parser)
    parser.add_argument(
        '--work-dir',
        help='the log and results.json go into a folder of the time below it '
        '(default: work_dirs/CONFIG)',
    )
    parser.add_argument(
        '--out',
        metavar='FILE.npz',
        help='store the predictions, for analysis_tools/eval_search.py',
    )
    parser.add_argument(
        '--show-dir',
        help='draw the predictions into this folder (a relative one is made '
        'below WORK_DIR/TIMESTAMP)',
    )
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


def set_outfile(cfg: Config, out: str) -> None:
    """Have the person search metric store the predictions.

    Args:
        cfg: Changed in place.
        out: The file, ``*.npz``; its folder is created.

    Raises:
        UsageError: Not an npz file, or no metric that could write it.
    """
    if Path(out).suffix != '.npz':
        raise UsageError(f'--out {out}: expected a name that ends in .npz')
    if Path(out).is_dir():
        raise UsageError(f'--out {out}: is a folder')
    metrics = cfg.test_evaluator
    if isinstance(metrics, dict):
        metrics = metrics.get('metrics', [metrics])
    if isinstance(metrics, dict):
        metrics = [metrics]
    for metric in metrics:
        if type_name(metric) == METRIC:
            writable_folder(Path(out).parent, '--out')
            metric['outfile'] = out
            return
    raise UsageError(f'--out needs mmps.{METRIC} in test_evaluator')


def set_show_dir(cfg: Config, show_dir: str) -> None:
    """Turn on mmdet's hook that draws predictions.

    Args:
        cfg: Changed in place.
        show_dir: As for ``DetVisualizationHook(test_out_dir=...)``.
    """
    cfg.default_hooks = cfg.get('default_hooks') or {}
    default = dict(type='mmdet.DetVisualizationHook')
    hook = cfg.default_hooks.get('visualization') or default
    hook.update(draw=True, test_out_dir=show_dir)
    cfg.default_hooks.visualization = hook
    if cfg.get('visualizer') is None:
        cfg.visualizer = dict(type='mmdet.DetLocalVisualizer')


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    cfg = load_config(args.config, args.cfg_options)
    if 'test_evaluator' not in cfg:
        raise UsageError(f'config {args.config} has no test_evaluator')
    if '://' not in args.checkpoint:
        existing_file(args.checkpoint, 'checkpoint')
    set_work_dir(cfg, args.work_dir, args.config)
    if args.out:
        set_outfile(cfg, args.out)
    if args.show_dir:
        set_show_dir(cfg, args.show_dir)
    cfg.load_from, cfg.resume = args.checkpoint, False
    set_launcher(cfg, args.launcher)
    runner = build_runner(cfg, args.trust_checkpoint)
    for hook in ('StrictLoadHook', 'ResultsHook'):
        runner.register_hook(dict(type=f'mmps.{hook}'))
    with lost_workers_explained():
        runner.test()
    close_processes()


if __name__ == '__main__':
    run_cli(main)
