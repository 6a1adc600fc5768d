#!/usr/bin/env python3
"""Draw the curves of a training run: losses, learning rate, mAP."""

import argparse
from pathlib import Path

from mmps.cli.common import run_cli
from mmps.visualization.training import plot_training, read_scalars


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder of the run')
    parser.add_argument(
        '--out', type=Path, help='picture (default: WORK_DIR/training.png)'
    )
    args = parser.parse_args()
    out = args.out or Path(args.work_dir) / 'training.png'
    figure = plot_training(read_scalars(args.work_dir))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
    print(out)


if __name__ == '__main__':
    run_cli(main)
