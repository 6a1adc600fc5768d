#!/usr/bin/env python3
"""Time exact search in a gallery beside the bare matrix product.

Fills an exact gallery with random unit vectors, and then, in one run and in
turns, times the product of queries and all rows, which any exact search has
to do, and the search. Says what memory the search takes beside the mapped
file, whether the result equals brute force, and by which power of the rows
the time of a search grows.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from mmps.cli.common import run_cli
from mmps.gallery import (
    Frame,
    GalleryHeader,
    GalleryRows,
    create_gallery,
)
from mmps.gallery.exact import ExactGallery
from mmps.utils.errors import UsageError

from measuring import (
    PeakMemory,
    Row,
    add_out_arg,
    growth_exponent,
    in_turns,
    median_ratio,
    print_rows,
    stopwatch,
    write_report,
)
from measuring.brute_force import is_brute_force

CHUNK = 50_000
PEOPLE_PER_FRAME = 10


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--rows', type=int, nargs='+', default=[100_000, 1_000_000],
        help='sizes of galleries (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--dim', type=int, default=256, help='of an embedding (256)'
    )
    parser.add_argument(
        '--queries', type=int, default=100, help='searched together (100)'
    )
    parser.add_argument('-k', type=int, default=100, help='answers (100)')
    parser.add_argument(
        '--dtype', choices=('float32', 'float16'), default='float32',
        help='of the stored embeddings (%(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--repeat', type=int, default=5,
        help='times each; the median counts (5)',
    )  # fmt: skip
    parser.add_argument(
        '--dir', type=Path, help='where galleries are made (default: /tmp)'
    )
    add_out_arg(parser)
    args = parser.parse_args()
    numbers = (*args.rows, args.dim, args.queries, args.k, args.repeat)
    if min(numbers) < 1:
        parser.error('all numbers: expected 1 or more')
    return args


def check_space(args: argparse.Namespace, folder: Path) -> None:
    """Raise UsageError if the largest gallery does not fit on the disk."""
    # Vectors, and for each row its id, frame, box and score.
    row = args.dim * np.dtype(args.dtype).itemsize + 64
    needed = 1.1 * max(args.rows) * row / 2**30
    free = shutil.disk_usage(folder).free / 2**30
    if needed > free:
        raise UsageError(
            f'--dir {folder}: {max(args.rows):,} rows need {needed:.1f} GiB, '
            f'{free:.1f} GiB are free'
        )


def fill(gallery: ExactGallery, num: int) -> float:
    """Add random people; returns the seconds spent in the gallery."""
    rng, spent = np.random.default_rng(0), 0.0
    steps = range(0, num, CHUNK)
    for start in track(steps, f'filling with {num:,} rows', transient=True):
        size = min(CHUNK, num - start)
        vectors = rng.standard_normal((size, gallery.header.dim), np.float32)
        owners = np.arange(size) // PEOPLE_PER_FRAME
        frames = [Frame(f'{start + i}.jpg') for i in range(owners[-1] + 1)]
        rows = GalleryRows(
            ids=np.arange(start, start + size),
            frames=owners,
            bboxes=np.zeros((size, 4), np.float32),
            scores=np.ones(size, np.float32),
            embeddings=vectors,
        )
        begin = time.perf_counter()
        gallery.add(frames, rows)
        spent += time.perf_counter() - begin
    return spent


def measure(args: argparse.Namespace, num: int, folder: Path) -> dict:
    """All figures of one size."""
    header = GalleryHeader(dim=args.dim, dtype=args.dtype)
    with create_gallery(folder / str(num), header) as gallery:
        filling = fill(gallery, num)
        filling += stopwatch(gallery.persist)[0]
        parts = [s.rows.embeddings for s in gallery.segments()]
        rng = np.random.default_rng(1)
        queries = rng.standard_normal((args.queries, args.dim), np.float32)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        with PeakMemory() as memory:
            found = gallery.search(queries, args.k)

        def product() -> None:
            for part in parts:
                queries @ part.T.astype(np.float32, copy=False)

        searches, products, singles = in_turns(
            [
                lambda: stopwatch(lambda: gallery.search(queries, args.k))[0],
                lambda: stopwatch(product)[0],
                lambda: stopwatch(lambda: gallery.search(queries[:1], args.k))[
                    0
                ],
            ],
            args.repeat,
        )
        same = is_brute_force(found, queries[:10], parts, args.k)
    opening, gallery = stopwatch(
        lambda: ExactGallery.open(str(folder / str(num)), read_only=True)
    )
    gallery.close()
    return dict(
        rows=num,
        rows_per_second_added=num / filling,
        open_seconds=opening,
        product_seconds=statistics.median(products),
        search_seconds=statistics.median(searches),
        ratio=median_ratio(searches, products),
        one_query_seconds=statistics.median(singles),
        memory_mib=memory.added,
        equals_brute_force=same,
    )


def table_rows(found: dict) -> list[Row]:
    """The lines of one size."""
    what = f'{found["rows"]:,} rows'
    same = 'equal to' if found['equals_brute_force'] else 'NOT EQUAL TO'
    return [
        Row(f'{what}, index', 'rows/s', found['rows_per_second_added']),
        Row(f'{what}, open', 's', found['open_seconds']),
        Row(f'{what}, search ({same} brute force)', 's',
            found['search_seconds'], found['product_seconds'],
            'bare product', found['ratio']),
        Row(f'{what}, one query', 's', found['one_query_seconds']),
        Row(f'{what}, search beside the map', 'MiB', found['memory_mib']),
    ]  # fmt: skip


def main() -> int:
    """Run the tool; status 1 if a result is not that of brute force."""
    args = parse_args()
    found, rows = [], []
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        check_space(args, Path(folder))
        for num in args.rows:
            found.append(measure(args, num, Path(folder)))
            rows += table_rows(found[-1])
            shutil.rmtree(Path(folder, str(num)))
    growth = {}
    if len(set(args.rows)) > 1:
        for name in ('search', 'one_query'):
            seconds = [one[f'{name}_seconds'] for one in found]
            growth[name] = growth_exponent(args.rows, seconds)
            what = f'exponent of growth, {name.replace("_", " ")}'
            rows.append(Row(what, '', growth[name]))
    title = (
        f'Top {args.k} of {args.queries} queries, {args.dim} x {args.dtype}'
    )
    print_rows(title, rows, Console(highlight=False))
    if args.out_json:
        write_report(args.out_json, rows, gallery=found, growth=growth)
    return 0 if all(one['equals_brute_force'] for one in found) else 1


if __name__ == '__main__':
    run_cli(main)
