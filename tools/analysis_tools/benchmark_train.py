#!/usr/bin/env python3
"""What a training step of each method costs beside the plain detector.

One run prints, for every config, the time of a step as a ratio to the same
mmdet detector without re-identification (Faster R-CNN C4, RetinaNet), taken
turn by turn, since machines are noisy; the peak memory of both; the share of
BOIM's weight; and the OIM step (512 people, 5532 identities, 5000 unlabelled,
256 values) against a loop over samples.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from rich.console import Console
from rich.table import Table
from torch import nn

from mmps.models.losses import OIMLoss
from mmps.models.losses.functional import prototype_density
from mmps.models.memories import IdentityMemory
from mmps.registry import MODELS
from mmps.testing import demo_search_samples
from mmps.utils.cli import existing_file, load_config, run_cli
from mmps.utils.launch import quiet_init_weights
from mmps.utils.quiet import import_parts

METHODS = (
    'oim/oim nae/nae seqnet/seqnet hoim/hoim fdps/fdps fdps/fdps-boim '
    'iidfc/iidfc pgsfl/pgsfl ugas/ugas-nae ugas/ugas-seqnet pcnet/pcnet'
)
CONFIGS = [f'configs/{name}_r18_scenes.py' for name in METHODS.split()]
NUM_IDS = 483

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('configs', nargs='*', default=CONFIGS)
    parser.add_argument(
        '--size', type=int, nargs=2, default=(384, 224), metavar=('W', 'H')
    )
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument(
        '--rounds', type=int, default=10, help='steps of each, turn by turn'
    )
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu'
    )
    parser.add_argument('--out-json', type=Path)
    # A process of its own for each measurement of memory.
    parser.add_argument(
        '--memory-of', choices=('method', 'plain'), help=argparse.SUPPRESS
    )
    return parser.parse_args()


def plain_detector(model: dict) -> dict:
    """The mmdet detector that a method is built on.

    Args:
        model: Config of a method.

    Returns:
        A Faster R-CNN or RetinaNet of the same backbone, anchors and RoIs.
    """
    plain = deepcopy(model)
    if 'roi_head' not in plain:
        head = plain.bbox_head
        keep = ('num_classes', 'in_channels', 'feat_channels', 'stacked_convs',
                'norm_cfg', 'anchor_generator', 'bbox_coder', 'loss_cls',
                'loss_bbox')  # fmt: skip
        plain.bbox_head = {key: head[key] for key in keep if key in head}
        plain.bbox_head.type = 'RetinaHead'
        return plain
    head = plain.roi_head
    box = head.bbox_head
    box = box[-1] if isinstance(box, list) else box
    if 'neck' in plain and plain.neck.type == 'mmps.ShallowFusion':
        del plain['neck']
        plain.backbone.out_indices = plain.backbone.out_indices[-1:]
    plain.rpn_head.type = 'mmps.SearchRPNHead'
    plain.roi_head = dict(
        type='StandardRoIHead',
        bbox_roi_extractor=head.bbox_roi_extractor,
        shared_head=head.shared_head,
        bbox_head=dict(
            type='BBoxHead',
            with_avg_pool=True,
            in_channels=box.in_channels,
            roi_feat_size=box.roi_feat_size,
            num_classes=1,
            reg_class_agnostic=True,
            loss_cls=dict(type='CrossEntropyLoss'),
            loss_bbox=dict(type='SmoothL1Loss'),
        ),
    )
    return plain


class Step:
    """A model that trains, step after step, on its own random batches."""

    def __init__(self, model: dict, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.model = MODELS.build(model)
        quiet_init_weights(self.model)
        self.model.backbone.init_cfg = None
        for module in self.model.modules():
            if isinstance(module, IdentityMemory):
                module.resolve(range(NUM_IDS))
        self.model.train().to(args.device)
        self.device = torch.device(args.device)
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
        total = sum(
            sum(value) if isinstance(value, list) else value
            for name, value in losses.items()
            if 'loss' in name
        )
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        """Until the device is done."""
        if self.device.type == 'cuda':
            torch.cuda.synchronize()


def memory_status(field: str) -> float:
    """MiB of a field of this process's status, on Linux."""
    status = Path('/proc/self/status').read_text()
    return int(re.search(rf'^{field}:\s+(\d+) kB', status, re.M)[1]) / 2**10


def peak_memory(model: dict, args: argparse.Namespace) -> float:
    """MiB that building a model and two steps add."""
    if args.device == 'cpu':
        # Forget the peak so far, that of the parent process included.
        Path('/proc/self/clear_refs').write_text('5')
        before = memory_status('VmRSS')
        step = Step(model, args)
        step(), step()
        return memory_status('VmHWM') - before
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step = Step(model, args)
    step(), step()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def memory_in_a_process(
    config: str, which: str, args: argparse.Namespace
) -> float:
    """:func:`peak_memory` where nothing was allocated before."""
    done = subprocess.run(
        [
            *(sys.executable, __file__, config, '--memory-of', which),
            *('--size', *map(str, args.size), '--batch', str(args.batch)),
            *('--device', args.device),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def compare(config: str, args: argparse.Namespace) -> dict[str, float]:
    """Time and memory of a method beside its plain detector."""
    model = load_config(config).model
    steps = [Step(model, args), Step(plain_detector(model), args)]
    for step in steps:
        step(), step()
    times = [[step() for step in steps] for _ in range(args.rounds)]
    return dict(
        seconds=statistics.median(t[0] for t in times),
        plain_seconds=statistics.median(t[1] for t in times),
        ratio=statistics.median(a / b for a, b in times),
        memory=memory_in_a_process(config, 'method', args),
        plain_memory=memory_in_a_process(config, 'plain', args),
    )


def timed(work: Callable[[], object], repeat: int = 5) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def oim_batch() -> tuple[IdentityMemory, nn.Parameter, torch.Tensor]:
    """CUHK-SYSU's memory and the people of a batch of eight images."""
    torch.manual_seed(0)
    memory = IdentityMemory(5532, 256, queue_size=5000)
    rows = F.normalize(torch.randn(10532, 256), dim=1)
    memory.update(
        rows, torch.cat((torch.arange(5532), torch.full((5000,), -1)))
    )
    x = nn.Parameter(F.normalize(torch.randn(512, 256), dim=1))
    ids = torch.randint(-1, 5532, (512,))
    ids[::3] = -1
    return memory, x, ids


def oim_step() -> dict[str, float]:
    """The OIM step, vectorised and as a loop over samples.

    Raises:
        AssertionError: The two do not agree.
    """
    memory, x, ids = oim_batch()
    loss = OIMLoss()

    def vectorised() -> torch.Tensor:
        x.grad = None
        value = loss(memory(x), ids)
        value.backward()
        memory.update(x.detach(), ids)
        return value.detach()

    def looped() -> torch.Tensor:
        x.grad = None
        table = torch.cat((memory.prototypes, memory.queue))
        labelled = int((ids >= 0).sum())
        total = 0.0
        for feature, person in zip(x, ids.tolist()):
            if person >= 0:
                logits = table @ feature * 30
                term = torch.logsumexp(logits, 0) - logits[person]
                (term / labelled).backward(retain_graph=True)
                total += term.detach() / labelled
        with torch.no_grad():
            for feature, person in zip(x, ids.tolist()):
                if person >= 0:
                    mixed = memory.prototypes[person] + feature
                    memory.prototypes[person] = mixed / mixed.norm()
                else:
                    slot = int(memory.queue_pointer)
                    memory.queue[slot] = feature
                    memory.queue_pointer.fill_((slot + 1) % memory.queue_size)
        return total

    state = {k: v.clone() for k, v in memory.state_dict().items()}
    value = vectorised()
    after = {k: v.clone() for k, v in memory.state_dict().items()}
    grad = x.grad.clone()
    memory.load_state_dict(state)
    torch.testing.assert_close(looped(), value, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(x.grad, grad, rtol=1e-3, atol=1e-5)
    for name, tensor in memory.state_dict().items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6)
    return dict(vectorised=timed(vectorised), loop=timed(looped, 3))


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    if args.memory_of:
        model = load_config(args.configs[0]).model
        if args.memory_of == 'plain':
            model = plain_detector(model)
        print(peak_memory(model, args))
        return
    table = Table(
        title=f'A training step, batch {args.batch}, '
        f'{args.size[0]} x {args.size[1]}, {args.device}'
    )
    table.add_column('config')
    for title in ('s', 'plain, s', 'ratio', 'MiB', 'plain, MiB'):
        table.add_column(title, justify='right')
    results = {}
    for config in args.configs:
        existing_file(config, 'config')
        name = Path(config).stem
        console.print(f'measuring {name}')
        results[name] = row = compare(config, args)
        table.add_row(
            name,
            f'{row["seconds"]:.3f}',
            f'{row["plain_seconds"]:.3f}',
            f'{row["ratio"]:.2f}',
            f'{row["memory"]:.0f}',
            f'{row["plain_memory"]:.0f}',
        )
    console.print(table)
    memory, *_ = oim_batch()
    density = timed(
        lambda: prototype_density(memory.prototypes, memory.prototypes_filled)
    )
    results['density of 5532 prototypes'] = density
    console.print(
        f"BOIM's weight over 5532 prototypes: {1000 * density:.0f} ms, taken "
        f'every tenth step: {100 * density:.1f} ms a step'
    )
    results['OIM step'] = step = oim_step()
    console.print(
        f'OIM step, 512 people: {1000 * step["vectorised"]:.0f} ms, as a loop '
        f'{1000 * step["loop"]:.0f} ms '
        f'({step["loop"] / step["vectorised"]:.0f} times), equal results'
    )
    if args.out_json:
        args.out_json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    run_cli(main)
