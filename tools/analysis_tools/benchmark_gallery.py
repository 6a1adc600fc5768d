#!/usr/bin/env python3
"""Time exact search in a gallery beside the bare matrix product.

Fills an exact gallery with random unit vectors, and then, in one run and in
turns, times the product of queries and all rows, which any exact search has
to do, and the search. Says what memory the search takes beside the mapped
file, and whether the result equals brute force.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmps.gallery import (
    Frame,
    GalleryHeader,
    GalleryRows,
    Matches,
    create_gallery,
)
from mmps.gallery.exact import ExactGallery
from mmps.utils.cli import run_cli

MIB = 2**20
CHUNK = 50_000
PEOPLE_PER_FRAME = 10


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--rows', type=int, nargs='+', default=[100_000, 1_000_000]
    )
    parser.add_argument('--dim', type=int, default=256)
    parser.add_argument('--queries', type=int, default=100)
    parser.add_argument('-k', type=int, default=100)
    parser.add_argument(
        '--dtype', choices=('float32', 'float16'), default='float32'
    )
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument(
        '--dir', type=Path, help='where galleries are made (default: /tmp)'
    )
    parser.add_argument('--out-json', type=Path)
    return parser.parse_args()


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


class PeakMemory:
    """Highest memory of its own that the process has, mapped files apart."""

    def __enter__(self) -> 'PeakMemory':
        self.start = self.peak = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def added(self) -> int:
        """Bytes above those at the start."""
        return self.peak - self.start

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now() -> int:
        for line in Path('/proc/self/status').read_text().splitlines():
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) * 1024
        return 0


def is_brute_force(
    found: Matches, queries: np.ndarray, vectors: list[np.ndarray], k: int
) -> bool:
    """Whether the result is that of one sort of all similarities."""
    for i, query in enumerate(queries.astype(np.float64)):
        sims = np.concatenate([part @ queries[i] for part in vectors])
        likely = np.argpartition(-sims, 3 * k)[: 3 * k] if (
            len(sims) > 3 * k
        ) else np.arange(len(sims))  # fmt: skip
        rows = np.concatenate(vectors_at(vectors, np.sort(likely)))
        exact = rows.astype(np.float64) @ query
        best = np.sort(likely)[np.argsort(-exact, kind='stable')[:k]]
        if best.tolist() != found.ids[i].tolist():
            return False
    return True


def vectors_at(parts: list[np.ndarray], index: np.ndarray) -> list[np.ndarray]:
    """Rows by their number in all parts together."""
    out, start = [], 0
    for part in parts:
        mine = index[(index >= start) & (index < start + len(part))]
        out.append(part[mine - start])
        start += len(part)
    return out


def measure(args: argparse.Namespace, num: int, folder: Path) -> dict:
    """All figures of one size."""
    header = GalleryHeader(dim=args.dim, dtype=args.dtype)
    with create_gallery(folder / str(num), header) as gallery:
        filling = fill(gallery, num)
        gallery.persist()
        parts = [s.rows.embeddings for s in gallery.segments()]
        rng = np.random.default_rng(1)
        queries = rng.standard_normal((args.queries, args.dim), np.float32)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        products, searches = [], []
        with PeakMemory() as memory:
            for _ in range(args.repeat):
                begin = time.perf_counter()
                found = gallery.search(queries, args.k)
                searches.append(time.perf_counter() - begin)
        for _ in range(args.repeat):
            begin = time.perf_counter()
            for part in parts:
                queries @ part.T.astype(np.float32, copy=False)
            products.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            gallery.search(queries, args.k)
            searches.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        gallery.search(queries[:1], args.k)
        single = time.perf_counter() - begin
        same = is_brute_force(found, queries[:10], parts, args.k)
    begin = time.perf_counter()
    ExactGallery.open(str(folder / str(num)), read_only=True).close()
    return dict(
        rows=num,
        rows_per_second_added=num / filling,
        open_seconds=time.perf_counter() - begin,
        product_seconds=statistics.median(products),
        search_seconds=statistics.median(searches),
        ratio=statistics.median(searches) / statistics.median(products),
        one_query_seconds=single,
        memory_mib=memory.added / MIB,
        equals_brute_force=same,
    )


def main() -> None:
    """Run the tool."""
    args = parse_args()
    results = []
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        for num in args.rows:
            results.append(measure(args, num, Path(folder)))
    table = Table(
        title=f'top {args.k} of {args.queries} queries, {args.dim} x '
        f'{args.dtype}'
    )
    for title in (
        'rows', 'added/s', 'open s', 'product s', 'search s', 'ratio',
        'one query s', 'memory MiB', 'brute force',
    ):  # fmt: skip
        table.add_column(title, justify='right')
    for found in results:
        table.add_row(
            f'{found["rows"]:,}',
            f'{found["rows_per_second_added"]:,.0f}',
            f'{found["open_seconds"]:.2f}',
            f'{found["product_seconds"]:.3f}',
            f'{found["search_seconds"]:.3f}',
            f'{found["ratio"]:.2f}',
            f'{found["one_query_seconds"]:.3f}',
            f'{found["memory_mib"]:.0f}',
            'equal' if found['equals_brute_force'] else 'DIFFERENT',
        )
    Console().print(table)
    if args.out_json:
        args.out_json.write_text(json.dumps(results, indent=1))


if __name__ == '__main__':
    run_cli(main)
