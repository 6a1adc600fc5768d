#!/usr/bin/env python3
"""Parameters, operations and time of a method on each backbone.

Every config's detector, untrained, is counted, and predicts one image turn by
turn with the one that it is compared with: pixels to boxes and embeddings. As
many boxes pass as in a trained detector. One multiply-add is one FLOP.
"""

import argparse
import statistics
from pathlib import Path

from rich.console import Console

from mmps.cli.common import run_cli
from mmps.cli.complexity import count
from mmps.utils.config import load_config
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts

from benchmark_predict import RepeatedPrediction
from measuring import (
    Row,
    in_turns,
    median_ratio,
    prediction_parser,
    print_rows,
    write_report,
)

CONFIGS = Path(__file__).parents[2] / 'configs' / 'seqnet'
BACKBONES = (
    'mobilenetv3-l', 'pvtv2-b2', 'swin-t', 'swin-s', 'swin-b', 'convnext-t',
    'convnext-s', 'convnext-b',
)  # fmt: skip

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = prediction_parser(__doc__, (1000, 600))
    parser.set_defaults(
        configs=[str(CONFIGS / f'seqnet_{name}_prw.py') for name in BACKBONES],
        rounds=3,
    )
    parser.add_argument(
        '--beside',
        default=str(CONFIGS / 'seqnet_r50_prw.py'),
        help='config of what they are compared with',
    )
    return parser.parse_args()


class CountedPrediction(RepeatedPrediction):
    """A detector that predicts its own image, and what that takes.

    Args:
        config: File of the detector.
        args: Of the command line.
    """

    def __init__(self, config: str, args: argparse.Namespace) -> None:
        existing_file(config, 'config')
        self.name = Path(config).stem
        console.print(f'building {self.name}')
        super().__init__(load_config(config).model, args)
        # The analyzer knows the operators of a CPU.
        rows, _ = count(self.model.cpu(), self.shape)
        self.model.to(self.device)
        _, parameters, flops = rows[-1]
        self.millions, self.billions = parameters / 1e6, flops / 1e9


def table_rows(
    config: str, beside: CountedPrediction, args: argparse.Namespace
) -> list[Row]:
    """Three lines of a config: parameters, operations, time."""
    ours = CountedPrediction(config, args)
    times = in_turns([ours, beside], args.rounds, warm_up=1)
    seconds = map(statistics.median, times)
    name, other = ours.name, beside.name
    return [
        Row(name, 'M parameters', ours.millions, beside.millions, other),
        Row(name, 'GFLOPs', ours.billions, beside.billions, other),
        Row(name, 's/image', *seconds, other, median_ratio(*times)),
    ]


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    beside = CountedPrediction(args.beside, args)
    rows = []
    for config in args.configs:
        rows += table_rows(config, beside, args)
    width, height = args.size
    title = f'Prediction of one image of {width} x {height}, {args.device}'
    print_rows(title, rows, console)
    if args.out_json:
        write_report(args.out_json, rows)


if __name__ == '__main__':
    run_cli(main)
