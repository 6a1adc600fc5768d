#!/usr/bin/env python3
"""Cost of the prediction of each method beside the plain detector.

Every config's detector and the one beside it, both untrained, predict one
image turn by turn, since machines are noisy: pixels to boxes and embeddings,
without query boxes. As many boxes pass as in a trained detector. Peak memory
is that of building the detector and two predictions in a process of its own.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from rich.console import Console
from torch import nn

from mmps.cli.common import run_cli
from mmps.utils.config import load_config
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts

from measuring import (
    Row,
    build_untrained,
    few_boxes,
    in_turns,
    median_ratio,
    other_detector,
    own_process,
    peak_memory,
    prediction_parser,
    print_rows,
    write_report,
)

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = prediction_parser(__doc__, size=(384, 216))
    parser.add_argument(
        '--beside',
        default='plain',
        help="the config's plain mmdet detector (plain), another config, or "
        'the plain detector of another one (plain:CONFIG)',
    )
    return parser.parse_args()


class RepeatedPrediction:
    """A detector that predicts its own image, over and over.

    Args:
        model: Config of the detector.
        args: Of the command line.
    """

    def __init__(self, model: ConfigDict, args: argparse.Namespace) -> None:
        self.device = torch.device(args.device)
        self.model = build_untrained(few_boxes(model, args.boxes), self.device)
        width, height = args.size
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (3, height, width), np.uint8)
        self.image = torch.from_numpy(pixels)
        self.shape = height, width
        self.model.eval()
        self._settle()

    def _settle(self) -> None:
        """Set the batch norms by an image: activations as after training."""
        norms = [
            m for m in self.model.modules() if isinstance(m, nn.BatchNorm2d)
        ]
        for norm in norms:
            norm.momentum = 1.0
            norm.train()
        self()
        for norm in norms:
            norm.eval()

    def __call__(self) -> float:
        """Seconds of one prediction."""
        sample = DetDataSample(
            metainfo=dict(
                img_id=0,
                img_path='',
                ori_shape=self.shape,
                img_shape=self.shape,
                scale_factor=(1.0, 1.0),
            )
        )
        batch = dict(inputs=[self.image], data_samples=[sample])
        self._wait()
        start = time.perf_counter()
        with torch.no_grad():
            self.predict(batch)
        self._wait()
        return time.perf_counter() - start

    def predict(self, batch: dict) -> None:
        """What is measured."""
        (found,) = self.model.test_step(batch)
        self.num_found = len(found.pred_instances)

    def _wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize()


def measure_memory(model: ConfigDict, args: argparse.Namespace) -> float:
    """MiB of a detector and two predictions."""

    def work() -> None:
        predict = RepeatedPrediction(model, args)
        predict(), predict()

    return peak_memory(work, args.device)


def compare(config: str, args: argparse.Namespace) -> dict[str, float]:
    """Time and memory of a method and of the detector beside it."""
    model = load_config(config).model
    pair = [
        RepeatedPrediction(one, args)
        for one in (model, other_detector(args.beside, model))
    ]
    ours, beside = in_turns(pair, args.rounds, warm_up=1)
    memory = [
        own_process(
            __file__, config, '--memory-of', which, '--beside', args.beside,
            '--size', *args.size, '--boxes', args.boxes,
            '--device', args.device,
        )
        for which in ('ours', 'beside')
    ]  # fmt: skip
    return dict(
        seconds=statistics.median(ours),
        beside_seconds=statistics.median(beside),
        ratio=median_ratio(ours, beside),
        images_per_second=1 / statistics.median(ours),
        memory=memory[0],
        beside_memory=memory[1],
        boxes=pair[0].num_found,
        beside_boxes=pair[1].num_found,
    )


def table_rows(name: str, found: dict[str, float], beside: str) -> list[Row]:
    """The two lines of a method."""
    kind, _, config = beside.partition(':')
    what = Path(config or kind).stem
    if kind == 'plain':
        what = f'plain, {what}' if config else 'plain'
    return [
        Row(name, 's/image', found['seconds'], found['beside_seconds'], what,
            found['ratio']),
        Row(name, 'MiB', found['memory'], found['beside_memory'], what),
    ]  # fmt: skip


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    if args.memory_of:
        model = load_config(args.configs[0]).model
        if args.memory_of == 'beside':
            model = other_detector(args.beside, model)
        print(measure_memory(model, args))
        return
    rows, figures = [], {}
    for config in args.configs:
        existing_file(config, 'config')
        name = Path(config).stem
        console.print(f'measuring {name}')
        figures[name] = compare(config, args)
        rows += table_rows(name, figures[name], args.beside)
    width, height = args.size
    title = f'Prediction of one image of {width} x {height}, {args.device}'
    print_rows(title, rows, console)
    if args.out_json:
        write_report(args.out_json, rows, prediction=figures)


if __name__ == '__main__':
    run_cli(main)
