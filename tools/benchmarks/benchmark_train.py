#!/usr/bin/env python3
"""Cost of a training step of each method beside the plain detector.

One run prints, for every config, the time of a step as a ratio to the same
mmdet detector without re-identification (Faster R-CNN C4, RetinaNet), taken
turn by turn, since machines are noisy; the peak memory of both; the share of
BOIM's weight; and the OIM step (512 people, 5532 identities, 5000 unlabelled,
256 values) against a loop over samples.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from rich.console import Console

from mmps.cli.common import positive, run_cli
from mmps.models.losses.functional import prototype_density
from mmps.testing import demo_search_samples, training_loss
from mmps.utils.config import load_config
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts

from measuring import (
    NUM_IDS,
    Row,
    build_untrained,
    detector_parser,
    in_turns,
    median_ratio,
    oim_batch,
    oim_step,
    own_process,
    peak_memory,
    plain_detector,
    print_rows,
    timed,
    write_report,
)

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = detector_parser(__doc__, size=(384, 224))
    parser.add_argument(
        '--batch', type=positive, default=4, help='images of a step (4)'
    )
    return parser.parse_args()


class Step:
    """A model that trains, step after step, on its own random batches."""

    def __init__(self, model: ConfigDict, args: argparse.Namespace) -> None:
        self.device = torch.device(args.device)
        self.model = build_untrained(model, self.device).train()
        self.size = (args.size[1], args.size[0])
        self.people = (6,) * args.batch
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4)
        self.seed = 0

    def __call__(self) -> float:
        """Seconds of one step, loading apart."""
        self.seed += 1
        inputs, samples = demo_search_samples(
            self.people, self.size, num_ids=NUM_IDS, seed=self.seed
        )
        inputs = inputs.to(self.device)
        samples = [sample.to(self.device) for sample in samples]
        self.wait()
        start = time.perf_counter()
        losses = self.model.loss(inputs, samples)
        total = training_loss(losses)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        """Wait until the device is done."""
        if self.device.type == 'cuda':
            torch.cuda.synchronize()


def measure_memory(model: ConfigDict, args: argparse.Namespace) -> float:
    """MiB that building a model and two steps add."""

    def work() -> None:
        step = Step(model, args)
        step(), step()

    return peak_memory(work, args.device)


def compare(config: str, args: argparse.Namespace) -> dict[str, float]:
    """Time and memory of a method beside its plain detector."""
    model = load_config(config).model
    steps = [Step(model, args), Step(plain_detector(model), args)]
    ours, plain = in_turns(steps, args.rounds, warm_up=2)
    memory = [
        own_process(
            __file__, config, '--memory-of', which, '--size', *args.size,
            '--batch', args.batch, '--device', args.device,
        )
        for which in ('ours', 'beside')
    ]  # fmt: skip
    return dict(
        seconds=statistics.median(ours),
        plain_seconds=statistics.median(plain),
        ratio=median_ratio(ours, plain),
        memory=memory[0],
        plain_memory=memory[1],
    )


def table_rows(name: str, found: dict[str, float]) -> list[Row]:
    """The two lines of a method."""
    return [
        Row(name, 's/step', found['seconds'], found['plain_seconds'], 'plain',
            found['ratio']),
        Row(name, 'MiB', found['memory'], found['plain_memory'], 'plain'),
    ]  # fmt: skip


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    if args.memory_of:
        model = load_config(args.configs[0]).model
        if args.memory_of == 'beside':
            model = plain_detector(model)
        print(measure_memory(model, args))
        return
    rows, figures = [], {}
    for config in args.configs:
        existing_file(config, 'config')
        name = Path(config).stem
        console.print(f'measuring {name}')
        figures[name] = compare(config, args)
        rows += table_rows(name, figures[name])
    memory, *people = oim_batch()
    density = timed(
        lambda: prototype_density(memory.prototypes, memory.prototypes_filled)
    )
    figures['density of 5532 prototypes'] = density
    # Taken every tenth step.
    rows.append(Row("BOIM's weight, 5532 prototypes", 's/step', density / 10))
    figures['OIM step'] = step = oim_step(memory, *people)
    rows.append(
        Row('OIM step, 512 people', 's/step', step['vectorised'],
            step['loop'], 'loop, equal results', step['ratio'])
    )  # fmt: skip
    width, height = args.size
    print_rows(
        f'A training step, {args.batch} images of {width} x {height}, '
        f'{args.device}',
        rows,
        console,
    )
    if args.out_json:
        write_report(args.out_json, rows, training=figures)


if __name__ == '__main__':
    run_cli(main)
