#!/usr/bin/env python3
"""Time the search evaluation beside a plain loop.

On protocols of the size of PRW and of CUHK-SYSU (all its galleries), both
with and without re-scoring by context (CBGM). Detections are made up around
the ground truth: the data sets' own with --data-root, else random ones of
the same size. Both evaluations get the same loaded arrays, and their figures
have to agree.
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from mmps.cli.common import run_cli
from mmps.cli.stored_search import load_test_set
from mmps.evaluation.functional import (
    ContextMatching,
    ProtocolResult,
    evaluate_search,
)
from mmps.structures import SearchGroundTruth, SearchPredictions
from mmps.testing import noisy_predictions
from mmps.utils.config import load_config

from measuring import (
    CONFIGS,
    Row,
    add_out_arg,
    in_turns,
    own_process,
    peak_memory,
    print_rows,
    stopwatch,
    write_report,
)
from measuring.protocols import random_protocol
from measuring.search_loop import LoopEvaluation

TOLERANCE = 1e-6
DATASETS = CONFIGS / '_base_/datasets'
FOLDERS = {'prw': 'PRW', 'cuhk-sysu': 'CUHK-SYSU'}
PROTOCOLS = [f'{name}{how}' for name in FOLDERS for how in ('', '-cbgm')]
console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--protocols', nargs='+', choices=PROTOCOLS, default=PROTOCOLS,
        help='to evaluate by (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--data-root',
        type=Path,
        help='folder of PRW/ and CUHK-SYSU/ (no images needed)',
    )
    parser.add_argument(
        '--scale',
        type=float,
        default=1.0,
        help="frames, people and queries as a share of the data set's",
    )
    parser.add_argument(
        '--embed-dims', type=int, default=256, help='of an embedding (256)'
    )
    parser.add_argument(
        '--loop-queries',
        type=int,
        help='queries for the loop; its time for all is then an '
        'extrapolation (default: all)',
    )
    parser.add_argument(
        '--repeat', type=int, default=3, help='runs of ours; the median counts'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of the drawn predictions (0)'
    )
    add_out_arg(parser)
    # A process of its own for each measurement of memory.
    parser.add_argument(
        '--memory-only', action='store_true', help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    for name in ('embed_dims', 'loop_queries', 'repeat'):
        value = getattr(args, name)
        if value is not None and value < 1:
            option = name.replace('_', '-')
            parser.error(f'--{option}: expected 1 or more, got {value}')
    if not 0 < args.scale <= 1:
        parser.error(f'--scale: expected above 0 to 1, got {args.scale}')
    return args


def ground_truth(name: str, args: argparse.Namespace) -> SearchGroundTruth:
    """A data set's protocol, or a random one of its size."""
    if args.data_root is not None:
        root = args.data_root.absolute() / FOLDERS[name]
        config = DATASETS / f'{name.replace("-", "_")}.py'
        options = {'test_dataloader.dataset.data_root': str(root)}
        return load_test_set(load_config(config, options))[1]
    return random_protocol(name, args.scale, args.seed)


def time_loop(
    truth: SearchGroundTruth,
    preds: SearchPredictions,
    results: dict[str, ProtocolResult],
    num: int | None,
    cbgm: ContextMatching | None,
) -> tuple[float, float]:
    """Seconds of the loop for all queries, and the largest difference.

    Args:
        truth: Ground truth.
        preds: Predictions.
        results: Ours.
        num: Queries that are evaluated; None for all.
        cbgm: As for ours.
    """
    evaluate = LoopEvaluation(truth, preds)
    seconds, gap = 0.0, 0.0
    for name, result in results.items():
        total = len(result.queries)
        some = min(num or total, total)
        rows = np.linspace(0, total - 1, some).round().astype(int)
        gallery = name if truth.galleries else None
        taken, (aps, ranks) = stopwatch(
            lambda: evaluate(result.queries[rows], gallery, cbgm)  # noqa: B023
        )
        seconds += taken * total / some
        firsts = result.first_ranks[rows]
        gap = max(gap, abs(result.aps[rows].mean() - aps.mean()))
        for k in (1, 5, 10):
            tops = [((r >= 0) & (r < k)).mean() for r in (firsts, ranks)]
            gap = max(gap, abs(tops[0] - tops[1]))
    return seconds, float(gap)


def load(
    protocol: str, args: argparse.Namespace
) -> tuple[SearchGroundTruth, SearchPredictions, ContextMatching | None]:
    """What is evaluated: ground truth, predictions and context."""
    truth = ground_truth(protocol.removesuffix('-cbgm'), args)
    preds = noisy_predictions(
        truth,
        args.embed_dims,
        false_per_frame=1.8,
        embedding_noise=2.0,
        seed=args.seed,
    )
    cbgm = None
    if protocol.endswith('-cbgm'):
        cbgm = ContextMatching.default_for(truth)
    return truth, preds, cbgm


def measure_memory(protocol: str, args: argparse.Namespace) -> float:
    """MiB of an evaluation beside its arrays, where nothing was before."""
    truth, preds, cbgm = load(protocol, args)
    return peak_memory(lambda: evaluate_search(truth, preds, cbgm=cbgm))


def compare(protocol: str, args: argparse.Namespace) -> dict[str, float]:
    """Time, memory and figures of one protocol."""
    truth, preds, cbgm = load(protocol, args)
    results: dict[str, ProtocolResult] = {}

    def ours() -> float:
        seconds, found = stopwatch(
            lambda: evaluate_search(truth, preds, cbgm=cbgm)
        )
        results.update(found)
        return seconds

    root = ('--data-root', args.data_root) if args.data_root else ()
    memory = own_process(
        __file__, '--memory-only', '--protocols', protocol, *root,
        '--scale', args.scale, '--embed-dims', args.embed_dims,
        '--seed', args.seed,
    )  # fmt: skip
    (runs,) = in_turns([ours], args.repeat, warm_up=1)
    loop, gap = time_loop(truth, preds, results, args.loop_queries, cbgm)
    return dict(
        queries=truth.num_queries,
        frames=truth.num_frames,
        galleries=len(results),
        detections=int((preds.scores >= 0.5).sum()),
        seconds=statistics.median(runs),
        loop_seconds=loop,
        memory=memory,
        difference=gap,
    )


def table_rows(
    protocol: str, found: dict[str, float], loop_queries: int | None
) -> list[Row]:
    """The lines of a protocol."""
    num = found['queries']
    what = 'plain loop'
    if loop_queries and loop_queries < num:
        what += f' over {loop_queries} of {num:,}'
    rates = (num / found[key] for key in ('seconds', 'loop_seconds'))
    return [
        Row(protocol, 'queries/s', *rates, what),
        Row(f'{protocol}, beside the arrays', 'MiB', found['memory']),
        Row(
            f'{protocol}, difference of figures',
            '',
            found['difference'],
            target=f'<= {TOLERANCE}',
        ),
    ]


def main() -> int:
    """Run the tool; status 1 if the figures differ."""
    args = parse_args()
    if args.memory_only:
        print(measure_memory(args.protocols[0], args))
        return 0
    rows, figures = [], {}
    for protocol in args.protocols:
        console.print(f'measuring {protocol}')
        figures[protocol] = compare(protocol, args)
        rows += table_rows(protocol, figures[protocol], args.loop_queries)
    print_rows(f'Evaluation, {args.embed_dims} values', rows, console)
    if args.out_json:
        write_report(args.out_json, rows, evaluation=figures)
    if all(row.met is not False for row in rows):
        return 0
    print(f'error: differences above {TOLERANCE}', file=sys.stderr)
    return 1


if __name__ == '__main__':
    run_cli(main)
