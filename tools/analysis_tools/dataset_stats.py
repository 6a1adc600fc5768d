#!/usr/bin/env python3
"""Print and plot counts, box sizes and ids per camera of a data set."""

import argparse
import csv
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmps.cli.common import add_config_args, run_cli
from mmps.datasets.from_config import build_dataset, dataset_config
from mmps.datasets.statistics import QUANTILES, SplitStatistics, describe
from mmps.utils.config import load_config
from mmps.utils.files import write_whole

CAMERA_COLUMNS = ('camera', 'frames', 'boxes', 'labelled boxes', 'ids')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument(
        '--split',
        nargs='+',
        choices=['train', 'test'],
        default=['train', 'test'],
        help='what to describe (default: both)',
    )
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('work_dirs/dataset_stats'),
        help='folder for the plot and the CSV files (default: %(default)s)',
    )
    parser.add_argument(
        '--read-sizes',
        action='store_true',
        help="read the images' sizes, to count boxes that leave the image",
    )
    return parser.parse_args()


def print_statistics(split: str, stats: SplitStatistics) -> None:
    print(f'\n{split}')
    for name, value in stats.counts.items():
        print(f'  {name:34}{value:>9,}')
    header = ''.join(f'{q:>9.0%}' for q in QUANTILES)
    print(f'  {"quantiles":34}{header}')
    for name, values in stats.quantiles().items():
        print(f'  {name:34}' + ''.join(f'{v:>9.2f}' for v in values))
    print('  ' + ''.join(f'{name:>16}' for name in CAMERA_COLUMNS))
    for row in stats.cameras:
        print('  ' + ''.join(f'{value:>16,}' for value in row))


def write_csv(path: Path, header: tuple, rows: list) -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(header)
    writer.writerows(rows)
    write_whole(path, table.getvalue())


def plot(stats: dict[str, SplitStatistics], path: Path) -> None:
    """Histograms of the samples and bars per camera, one colour a split."""
    names = list(next(iter(stats.values())).samples)
    figure = Figure(figsize=(13, 7), layout='constrained')
    axes = figure.subplots(2, 3)
    for axis, name in zip(axes.flat, names):
        values = {k: s.samples[name] for k, s in stats.items()}
        stacked = np.concatenate([*values.values(), [0.0]])
        # The longest boxes would squeeze all others into a few bars.
        top = np.quantile(stacked, 0.995)
        whole = all(v.dtype.kind == 'i' for v in values.values())
        num = min(40, int(top) + 1) if whole else 40
        bins = np.linspace(-0.5 if whole else 0, top + 0.5, num + 1)
        for split, sample in values.items():
            axis.hist(
                sample, bins, alpha=0.6, label=f'{split} {len(sample):,}'
            )
        axis.set(title=name, ylabel='count')
        axis.legend()
    axis = axes.flat[len(names)]
    cameras = sorted({int(c) for s in stats.values() for c in s.cameras[:, 0]})
    width = 0.8 / len(stats)
    for i, (split, s) in enumerate(stats.items()):
        places = np.array([cameras.index(c) for c in s.cameras[:, 0]])
        axis.bar(places + i * width, s.cameras[:, 4], width, label=split)
    labels = ['unknown' if c < 0 else str(c) for c in cameras]
    middle = np.arange(len(cameras)) + width * (len(stats) - 1) / 2
    axis.set_xticks(middle, labels)
    axis.set(title='ids per camera', xlabel='camera', ylabel='ids')
    axis.margins(y=0.25)  # room for the legend
    axis.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    stats = {}
    for split in args.split:
        dataset = build_dataset(
            dataset_config(cfg, split),
            pipeline=[],
            lazy_init=True,
            read_sizes=args.read_sizes,
        )
        stats[split] = describe(dataset.load_table())
        print_statistics(split, stats[split])
    args.out_dir.mkdir(parents=True, exist_ok=True)
    write_csv(
        args.out_dir / 'counts.csv',
        ('split', 'name', 'value'),
        [(k, *item) for k, s in stats.items() for item in s.counts.items()],
    )
    write_csv(
        args.out_dir / 'quantiles.csv',
        ('split', 'name', *QUANTILES),
        [
            (k, name, *values)
            for k, s in stats.items()
            for name, values in s.quantiles().items()
        ],
    )
    write_csv(
        args.out_dir / 'cameras.csv',
        ('split', *CAMERA_COLUMNS),
        [(k, *row) for k, s in stats.items() for row in s.cameras.tolist()],
    )
    plot(stats, args.out_dir / 'dataset_stats.png')
    print(f'\nwritten: {args.out_dir}/dataset_stats.png and three CSV files')


if __name__ == '__main__':
    run_cli(main)
