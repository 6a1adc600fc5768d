#!/usr/bin/env python3
"""Draw queries and their best answers out of stored predictions."""

import argparse
from pathlib import Path

import numpy as np

from mmps.cli.common import run_cli
from mmps.cli.stored_search import (
    add_search_args,
    open_search,
)
from mmps.evaluation.functional import (
    ProtocolResult,
    SearchProblem,
    main_result,
    rank_list,
)
from mmps.utils.errors import UsageError
from mmps.visualization import draw_rank_list


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_search_args(parser)
    parser.add_argument(
        '--queries',
        nargs='+',
        type=int,
        metavar='INDEX',
        help="draw these, by their place in the data set's query order",
    )
    parser.add_argument(
        '--num',
        type=int,
        default=8,
        help='how many to draw without --queries (default: %(default)s)',
    )
    parser.add_argument(
        '--sort',
        choices=['best', 'worst', 'random'],
        default='random',
        help='which ones, by average precision (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of --sort random')
    parser.add_argument(
        '--top-k',
        type=int,
        default=5,
        help='answers per query (default: %(default)s)',
    )
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('work_dirs/vis_ranks'),
        help='folder for the pictures (default: %(default)s)',
    )
    args = parser.parse_args()
    for option in ('num', 'top_k'):
        if getattr(args, option) < 1:
            parser.error(f'--{option.replace("_", "-")}: expected 1 or more')
    return args


def choose(args: argparse.Namespace, result: ProtocolResult) -> list[int]:
    """Indices of the queries to draw."""
    if args.queries:
        for query in args.queries:
            if query not in result.queries:
                raise UsageError(
                    f'--queries {query}: {result.name} evaluates '
                    f'{len(result.queries)} queries, 0 to '
                    f'{result.queries.max(initial=0)}, and not this one'
                )
        return args.queries
    if args.sort == 'random':
        order = np.random.default_rng(args.seed).permutation(len(result.aps))
    else:
        order = np.argsort(result.aps, kind='stable')
        if args.sort == 'best':
            order = order[::-1]
    return result.queries[order[: args.num]].tolist()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    search = open_search(args)
    det_thr = search.settings.det_thr
    result = main_result(search.evaluate())
    task = next(t for t in search.tasks() if t.name == result.name)
    problem = SearchProblem(
        search.truth, search.preds, det_thr, search.cbgm, search.scenes
    )
    raw_person_ids = search.dataset.metainfo['raw_person_ids']
    paths = [
        search.dataset.get_data_info(i)['img_path']
        for i in range(len(search.dataset))
    ]
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for query in choose(args, result):
        ranks = rank_list(problem, task, query, args.top_k)
        place = int(np.flatnonzero(result.queries == query)[0])
        person = raw_person_ids[search.truth.query_person_ids[query]]
        first = int(result.first_ranks[place])
        title = (
            f'person {person}, AP {100 * result.aps[place]:.1f} % '
            f'({result.name}, detections of score ≥ {det_thr:g}): '
            f'{result.num_found[place]} of {result.num_positives[place]} '
            f'found, '
            + (f'first at rank {first + 1}' if first >= 0 else 'none ranked')
        )
        figure = draw_rank_list(ranks, problem, paths, args.top_k, title)
        path = args.out_dir / f'query_{query:05d}.jpg'
        figure.savefig(path)
        print(f'{path}: AP {100 * result.aps[place]:.1f} %')


if __name__ == '__main__':
    run_cli(main)
