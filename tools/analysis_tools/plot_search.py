#!/usr/bin/env python3
"""Plot stored predictions: CMC, accuracy over gallery size, similarities.

A data set that brings galleries is shown on those. For others, galleries of
--sizes frames are drawn at random: the frames with the person first, then
others, the smaller gallery inside the larger.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from mmps.cli.common import run_cli
from mmps.cli.stored_search import StoredSearch, add_search_args, open_search
from mmps.evaluation.functional import (
    ProtocolResult,
    SearchProblem,
    evaluate_search,
    main_result,
    sample_gallery,
    similarity_histogram,
)
from mmps.visualization import (
    plot_cmc,
    plot_gallery_sizes,
    plot_similarities,
)

SIZES = (50, 100, 500, 1000, 2000, 4000)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_search_args(parser)
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=int,
        metavar='N',
        help='gallery sizes for data sets without galleries (default: '
        f'{" ".join(map(str, SIZES))} as far as the frames go, and all)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the galleries')
    parser.add_argument(
        '--max-rank',
        type=int,
        default=20,
        help='last rank of the CMC curve (default: %(default)s)',
    )
    parser.add_argument(
        '--bins',
        type=int,
        default=50,
        help='of the histogram, on each side of 0 (default: %(default)s)',
    )
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('work_dirs/plot_search'),
        help='folder for the pictures (default: %(default)s)',
    )
    args = parser.parse_args()
    for option in ('max_rank', 'bins'):
        if getattr(args, option) < 1:
            parser.error(f'--{option.replace("_", "-")}: expected 1 or more')
    if args.sizes and min(args.sizes) < 1:
        parser.error('--sizes: expected 1 or more')
    return args


def gallery_size_results(
    search: StoredSearch,
    results: dict[str, ProtocolResult],
    args: argparse.Namespace,
) -> tuple[list[int], list[ProtocolResult], str]:
    """Sizes, results and what the galleries are."""
    if search.truth.galleries:
        found = {int(k): r for k, r in results.items() if k.isdecimal()}
        sizes = sorted(found)
        return sizes, [found[size] for size in sizes], ''
    most = search.truth.num_frames - 1
    sizes = sorted(set(args.sizes or (*SIZES, most)))
    sizes = [size for size in sizes if size <= most] or [most]
    galleries = {
        str(size): sample_gallery(search.truth, size, seed=args.seed)
        for size in sizes
    }
    found = evaluate_search(
        dataclasses.replace(search.truth, galleries=galleries),
        search.preds,
        search.settings.det_thr,
        cbgm=search.cbgm,
        scenes=search.scenes,
    )
    title = f'random galleries of all cameras, seed {args.seed}'
    return sizes, list(found.values()), title


def main() -> None:
    """Run the tool."""
    args = parse_args()
    search = open_search(args)
    results = search.evaluate()
    figures = {'cmc': plot_cmc(results, args.max_rank)}

    sizes, sized, title = gallery_size_results(search, results, args)
    if sizes:
        figures['gallery_size'] = plot_gallery_sizes(sizes, sized, title)

    problem = SearchProblem(
        search.truth,
        search.preds,
        search.settings.det_thr,
        search.cbgm,
        search.scenes,
    )
    name = main_result(results).name
    task = next(task for task in search.tasks() if task.name == name)
    # Embeddings need not be unit vectors (NAE's carry the score).
    lengths = [
        np.linalg.norm(e.astype(np.float64), axis=1).max(initial=0)
        for e in (search.preds.embeddings, search.preds.query_embeddings)
    ]
    reach = max(lengths[0] * lengths[1], max(lengths) ** 2, 1e-6) * 1.0001
    edges = np.linspace(-reach, reach, 2 * args.bins + 1)
    same, different = similarity_histogram(problem, task, edges)
    figures['similarity'] = plot_similarities(edges, same, different)

    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        path = args.out_dir / f'{name}.png'
        figure.savefig(path)
        print(path)


if __name__ == '__main__':
    run_cli(main)
