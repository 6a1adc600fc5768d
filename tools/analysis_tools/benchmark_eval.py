#!/usr/bin/env python3
"""Time the search evaluation beside a plain loop on a protocol of PRW's size.

Detections are made up around the ground truth: PRW's own with --data-root,
else a random protocol of the same size. Both evaluations get the same loaded
arrays, and their figures have to agree.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from mmps.apis.stored_search import load_test_set
from mmps.evaluation.functional import evaluate_search
from mmps.structures import SearchGroundTruth, SearchPredictions
from mmps.testing.search import noisy_predictions, random_ground_truth
from mmps.utils.cli import UsageError, load_config, run_cli

TOLERANCE = 1e-6
PRW = Path(__file__).parents[2] / 'configs/_base_/datasets/prw.py'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--data-root', help='a PRW folder (no images needed)')
    parser.add_argument(
        '--config',
        default=PRW,
        help='data set of --data-root (default: _base_/datasets/prw.py)',
    )
    parser.add_argument('--embed-dims', type=int, default=256)
    parser.add_argument(
        '--loop-queries',
        type=int,
        help='queries for the loop; its time for all is then an '
        'extrapolation (default: all)',
    )
    parser.add_argument(
        '--queries', type=int, help='use only the first queries of all'
    )
    parser.add_argument(
        '--repeat', type=int, default=3, help='runs of ours; the median counts'
    )
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    for name in ('embed_dims', 'loop_queries', 'queries', 'repeat'):
        value = getattr(args, name)
        if value is not None and value < 1:
            option = name.replace('_', '-')
            parser.error(f'--{option}: expected 1 or more, got {value}')
    return args


def ground_truth(args: argparse.Namespace) -> SearchGroundTruth:
    """PRW's protocol, or a random one of its size."""
    if args.data_root is None:
        # 25,062 boxes, 37.5 positives a query: close to PRW's test split.
        return random_ground_truth(
            num_frames=6112,
            num_ids=450,
            num_cameras=6,
            num_queries=2057,
            people_per_frame=4.1,
            labelled=0.67,
            seed=args.seed,
        )
    root = os.path.abspath(args.data_root)
    options = {'test_dataloader.dataset.data_root': root}
    return load_test_set(load_config(args.config, options))[1]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return inter / (union - inter)


def loop_evaluation(
    truth: SearchGroundTruth,
    preds: SearchPredictions,
    queries: Iterable[int],
    det_thr: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate query by query and frame by frame, as is usually done.

    Returns:
        (q,) average precision x recall, and (q,) first right rank or -1.
    """
    frames = []
    for begin, end in zip(preds.frame_splits[:-1], preds.frame_splits[1:]):
        keep = preds.scores[begin:end] >= det_thr
        frames.append(
            (preds.bboxes[begin:end][keep], preds.embeddings[begin:end][keep])
        )
    people = [
        dict(zip(truth.person_ids[begin:end], truth.bboxes[begin:end]))
        for begin, end in zip(truth.frame_splits[:-1], truth.frame_splits[1:])
    ]
    aps, ranks = [], []
    for query in queries:
        person, own = truth.query_person_ids[query], truth.query_frames[query]
        feature = preds.query_embeddings[query]
        y_true, y_score, positives, found = [], [], 0, 0
        for frame, (boxes, features) in enumerate(frames):
            if frame == own:
                continue
            box = people[frame].get(person)
            positives += box is not None
            if not len(boxes):
                continue
            sims = features.dot(feature)
            labels = np.zeros(len(sims), dtype=np.int32)
            if box is not None:
                w, h = box[2] - box[0], box[3] - box[1]
                threshold = min(0.5, w * h / ((w + 10) * (h + 10)))
                for i in np.argsort(-sims, kind='stable'):
                    if iou(boxes[i], box) >= threshold:
                        labels[i] = 1
                        found += 1
                        break
            y_true.extend(labels)
            y_score.extend(sims)
        ap = average_precision_score(y_true, y_score) if found else 0.0
        aps.append(ap * found / max(positives, 1))
        order = np.argsort(-np.array(y_score), kind='stable')
        hits = np.flatnonzero(np.array(y_true)[order])
        ranks.append(hits[0] if len(hits) else -1)
    return np.array(aps), np.array(ranks)


def reset_peak() -> bool:
    """Forget this process's peak memory (Linux)."""
    try:
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')
    except OSError:
        return False
    return True


def status_mib(key: str) -> float:
    """A memory figure of this process in MiB."""
    try:
        with open('/proc/self/status') as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run the tool; status 1 if the figures differ."""
    args = parse_args()
    truth = ground_truth(args)
    if args.queries:
        for name in ('query_bboxes', 'query_person_ids', 'query_frames'):
            setattr(truth, name, getattr(truth, name)[: args.queries])
    preds = noisy_predictions(
        truth,
        args.embed_dims,
        false_per_frame=1.8,
        embedding_noise=2.0,
        seed=args.seed,
    )
    if args.loop_queries and args.loop_queries > truth.num_queries:
        raise UsageError(
            f'--loop-queries {args.loop_queries}: there are only '
            f'{truth.num_queries} queries'
        )
    searched = int((preds.scores >= 0.5).sum())
    print(
        f'{truth.num_queries:,} queries, {truth.num_frames:,} frames, '
        f'{searched:,} detections of score >= 0.5, D = {args.embed_dims}, '
        f'{os.cpu_count()} CPUs'
    )

    before, exact = status_mib('VmRSS'), reset_peak()
    times = []
    for _ in range(args.repeat):
        start = time.perf_counter()
        result = evaluate_search(truth, preds)['regular']
        times.append(time.perf_counter() - start)
    ours = float(np.median(times))
    extra = status_mib('VmHWM') - before
    peak = f'{extra:.0f} MiB' if exact else 'not measurable here'
    runs = ', '.join(f'{t:.2f}' for t in times)
    print(f'ours   {ours:8.2f} s   (runs: {runs}; peak extra memory: {peak})')

    num_loop = args.loop_queries or truth.num_queries
    start = time.perf_counter()
    aps, ranks = loop_evaluation(truth, preds, range(num_loop))
    taken = time.perf_counter() - start
    full = taken * truth.num_queries / num_loop
    note = '' if num_loop == truth.num_queries else (
        f'   (extrapolated from {num_loop} queries in {taken:.2f} s)'
    )  # fmt: skip
    print(f'loop   {full:8.2f} s{note}')
    print(f'ratio  {full / ours:8.1f}')

    agree = True
    firsts = result.first_ranks[:num_loop]
    figures = {'mAP': (result.aps[:num_loop].mean(), aps.mean())}
    for k in (1, 5, 10):
        figures[f'top-{k}'] = tuple(
            ((r >= 0) & (r < k)).mean() for r in (firsts, ranks)
        )
    for name, (mine, theirs) in figures.items():
        gap = abs(mine - theirs)
        agree &= gap <= TOLERANCE
        print(f'{name:7}{mine:10.6f}{theirs:10.6f}   difference {gap:.1e}')
    if not agree:
        print(f'error: differences above {TOLERANCE}', file=sys.stderr)
    return 0 if agree else 1


if __name__ == '__main__':
    run_cli(main)
