"""Count the parameters and operations of a detector at prediction."""

import argparse

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from rich.console import Console
from rich.table import Table
from torch import nn

from mmps.cli.common import add_config_args, run_cli
from mmps.cli.complexity import count
from mmps.utils.config import load_config
from mmps.utils.part_imports import import_parts


def build_model(cfg: Config) -> nn.Module:
    """Build the detector of a config for prediction, untrained.

    It stays on the CPU: the counts are the same, and there the deformable
    convolution is made of operations that the analyzer knows.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return revert_sync_batchnorm(MODELS.build(cfg.model)).eval()


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        default=(800, 1333),
        metavar=('H', 'W'),
        help='size of the network input in pixels (default: 800 1333)',
    )
    args = parser.parse_args()
    if min(args.shape) < 1:
        parser.error('--shape: height and width must be positive')
    import_parts()
    cfg = load_config(args.config, args.cfg_options)
    rows, skipped = count(build_model(cfg), tuple(args.shape))
    table = Table('part', title=f'{args.shape[0]} x {args.shape[1]} pixels')
    table.add_column('parameters (M)', justify='right')
    table.add_column('FLOPs (G)', justify='right')
    for name, parameters, flops in rows:
        if name == 'total':
            table.add_section()
        table.add_row(name, f'{parameters / 1e6:.2f}', f'{flops / 1e9:.2f}')
    console = Console()
    console.print(table)
    console.print('One multiply-add is one FLOP, as in papers on detectors.')
    if custom := {k: n for k, n in skipped.items() if 'PythonOp' in k}:
        console.print(f'Not counted: {custom}')


if __name__ == '__main__':
    run_cli(main)
