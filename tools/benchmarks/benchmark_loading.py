#!/usr/bin/env python3
"""Loading speed of a core in images a second, by part of the pipeline.

Frames go through the training and the test pipeline of a data set's config,
one after another in one thread, in turns with mmdet's pipeline of the same
steps and with the bare decoding of the file. The frames are rendered, as
large as PRW's; --data-root takes those of a data set.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from rich.console import Console

from mmps.cli.common import run_cli
from mmps.datasets import PersonSearchDataset
from mmps.datasets.from_config import build_dataset, dataset_config
from mmps.scenes import ScenesConfig, make_scenes
from mmps.utils.config import load_config
from mmps.utils.part_imports import import_parts

from measuring import (
    CONFIGS,
    Row,
    add_out_arg,
    print_rows,
    stopwatch,
    write_report,
)

PRW = CONFIGS / '_base_/datasets/prw.py'
RESIZES = ('Resize', 'RandomResize', 'RandomChoiceResize')
GROUPS = {'LoadFrame': 'loading'} | dict.fromkeys(RESIZES, 'resize')
# mmdet's transforms for the same work, without annotations.
PLAIN = {
    'LoadFrame': 'LoadImageFromFile',
    'PackPersonSearchInputs': 'PackDetInputs',
    **{name: name for name in (*RESIZES, 'RandomFlip')},
}

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--config', default=PRW, help='data set (default: PRW)'
    )
    parser.add_argument(
        '--data-root', type=Path, help='folder of its files (default: render)'
    )
    parser.add_argument('--frames', type=int, default=24, help='of each split')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(1920, 1080), metavar=('W', 'H'),
        help='of rendered frames',
    )  # fmt: skip
    parser.add_argument(
        '--rounds', type=int, default=5, help='passes over the frames'
    )
    add_out_arg(parser)
    args = parser.parse_args()
    if args.frames < 2:
        parser.error(f'--frames: expected 2 or more, got {args.frames}')
    if args.rounds < 1:
        parser.error(f'--rounds: expected 1 or more, got {args.rounds}')
    return args


class Watched:
    """A transform whose seconds are added up.

    Args:
        transform: Of a pipeline.
        seconds: Seconds by group, changed by every call.
    """

    def __init__(self, transform: Callable, seconds: dict) -> None:
        self.transform = transform
        self.seconds = seconds
        self.group = GROUPS.get(type(transform).__name__, 'rest')

    def __call__(self, results: dict) -> dict | None:
        taken, results = stopwatch(lambda: self.transform(results))
        self.seconds[self.group] += taken
        return results


def plain_pipeline(pipeline: list[dict]) -> Compose:
    """mmdet's transforms for the steps of a pipeline that it has."""
    steps = []
    for step in pipeline:
        name = step['type'].split('.')[-1]
        if name in PLAIN:
            options = {k: v for k, v in step.items() if k != 'type'}
            steps.append(dict(options, type=PLAIN[name]))
    steps[-1]['meta_keys'] = ('img_path', 'ori_shape', 'img_shape')
    return Compose(steps)


def decode_file(path: str) -> np.ndarray:
    """Read and decode a file, which every loader has to do."""
    data = np.fromfile(path, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


def compare(
    dataset: PersonSearchDataset, plain: Compose, args: argparse.Namespace
) -> dict[str, float]:
    """Median seconds per image, of all and of the parts, over the passes."""
    parts: dict[str, float] = defaultdict(float)
    dataset.pipeline.transforms = [
        Watched(step, parts) for step in dataset.pipeline.transforms
    ]
    num = min(args.frames, len(dataset))
    passes = []
    for turn in range(args.rounds + 1):
        sums: dict[str, float] = defaultdict(float)
        parts.clear()
        for i in range(num):
            path = dataset.get_data_info(i)['img_path']
            sums['decoding'] += stopwatch(lambda: decode_file(path))[0]  # noqa: B023
            sums['ours'] += stopwatch(lambda: dataset.prepare_data(i))[0]  # noqa: B023
            sums['plain'] += stopwatch(lambda: plain({'img_path': path}))[0]  # noqa: B023
        if turn:  # the first one fills the caches
            sums.update(loading=parts['loading'], resize=parts['resize'])
            sums['rest'] = sums['ours'] - parts['loading'] - parts['resize']
            passes.append({k: v / num for k, v in sums.items()})
    return {
        key: statistics.median(one[key] for one in passes) for key in passes[0]
    }


def table_rows(split: str, found: dict[str, float]) -> list[Row]:
    """The lines of a split."""
    return [
        Row(f'{split} pipeline', 'images/s', 1 / found['ours'],
            1 / found['plain'], "mmdet's"),
        Row(f'{split}, reading and decoding', 's/image', found['loading'],
            found['decoding'], 'bare decoding'),
        Row(f'{split}, resize', 's/image', found['resize']),
        Row(f'{split}, rest', 's/image', found['rest']),
    ]  # fmt: skip


def measure(root: Path, args: argparse.Namespace) -> dict[str, dict]:
    """Seconds of both splits."""
    cfg = load_config(args.config)
    figures = {}
    for split in ('train', 'test'):
        node = dataset_config(cfg, split)
        with DefaultScope.overwrite_default_scope('mmdet'):
            dataset = build_dataset(node, data_root=str(root))
            plain = plain_pipeline(node['pipeline'])
        figures[split] = compare(dataset, plain, args)
    return figures


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if args.data_root is not None:
        figures = measure(args.data_root.absolute(), args)
    else:
        with tempfile.TemporaryDirectory() as folder:
            scenes = ScenesConfig(
                train_frames=args.frames, test_frames=args.frames,
                train_ids=args.frames // 2, test_ids=args.frames // 2,
                size=tuple(args.size),
            )  # fmt: skip
            console.print('rendering frames')
            make_scenes(Path(folder, 'scenes'), scenes)
            figures = measure(Path(folder, 'scenes'), args)
    rows = [
        row for split in figures for row in table_rows(split, figures[split])
    ]
    print_rows('Loading, one core', rows, console)
    if args.out_json:
        write_report(args.out_json, rows, loading=figures)


if __name__ == '__main__':
    run_cli(main)
