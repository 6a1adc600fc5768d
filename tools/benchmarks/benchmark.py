#!/usr/bin/env python3
"""Measure everything that has to be fast, in one run, as one table.

Evaluation beside a plain loop, prediction and training beside the plain
mmdet detector, loading beside bare decoding, search in a gallery beside the
bare product: each part is a benchmark_*.py of this folder with the words
that are printed before it, and can be run alone. The JSON file is written
after every part, so what was measured is there if a later one fails.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from mmps.cli.common import run_cli
from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file, write_whole

from measuring import (
    CONFIGS,
    Row,
    add_device_arg,
    add_out_arg,
    describe_machine,
    markdown,
    method_configs,
    print_rows,
    read_report,
    replace_marked,
    write_report,
)

HERE = Path(__file__).resolve().parent
PAPER_SIZE = ('--size', '1333', '800', '--rounds', '5')
LIGHT_AND_OIM = (
    str(CONFIGS / 'pcnet/pcnet-light_r50_prw.py'),
    '--beside',
    str(CONFIGS / 'oim/oim_r50_prw.py'),
)


class BenchmarkPart(NamedTuple):
    """One part of the table.

    Args:
        script: File of this folder, without ``benchmark_``.
        words: Its arguments for the whole table.
        quick: Those for a look.
        on_device: Whether it takes ``--device``.
    """

    script: str
    words: tuple[str, ...]
    quick: tuple[str, ...]
    on_device: bool = False


PARTS = {
    'evaluation': BenchmarkPart(
        'eval.py',
        ('--loop-queries', '200'),
        ('--scale', '0.05', '--repeat', '1'),
    ),
    'prediction': BenchmarkPart(
        'predict.py',
        (*method_configs(full_size=True), *PAPER_SIZE),
        ('--rounds', '3'),
        on_device=True,
    ),
    'light PCNet and OIM': BenchmarkPart(
        'predict.py',
        (*LIGHT_AND_OIM, *PAPER_SIZE),
        (*LIGHT_AND_OIM, '--size', '667', '400', '--rounds', '3'),
        on_device=True,
    ),
    'backbones': BenchmarkPart(
        'backbones.py',
        (),
        ('--size', '160', '96', '--rounds', '1'),
        on_device=True,
    ),
    'scenes': BenchmarkPart(
        'scenes.py', PAPER_SIZE, ('--rounds', '3'), on_device=True
    ),
    'training': BenchmarkPart(
        'train.py', (), ('--rounds', '3'), on_device=True
    ),
    'loading': BenchmarkPart(
        'loading.py', (), ('--frames', '6', '--rounds', '2')
    ),
    'gallery': BenchmarkPart(
        'gallery.py',
        ('--rows', '100000', '1000000', '10000000'),
        ('--rows', '10000', '100000', '--repeat', '3'),
    ),
}

# Part, what (a pattern), unit; what the ratio should be.
TARGETS = (
    ('evaluation', '.*', 'queries/s', '>= 50'),
    ('prediction', 'pcnet-light_.*', 's/image', '<= 1.15'),
    ('prediction', 'pcnet_.*', 's/image', '<= 1.3'),
    # 22.3 and 14.8 images/s, 1.6 and 2.3 GB (PCNet, Table 4).
    ('light PCNet and OIM', '.*', 's/image', '<= 0.667'),
    ('light PCNet and OIM', '.*', 'MiB', '<= 0.7'),
    ('training', '(oim|nae|fdps|fdps-boim)_.*', 's/step', '<= 1.1'),
    ('training', '(pgsfl|iidfc)_.*', 's/step', '<= 1.15'),
    ('training', 'seqnet_.*', 's/step', '<= 1.7'),
    ('training', 'ugas-seqnet_.*', 's/step', '<= 1.9'),
    ('training', 'OIM step.*', 's/step', '<= 0.1'),
)

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--parts',
        nargs='+',
        choices=list(PARTS),
        default=list(PARTS),
        metavar='PART',
        help=f'any of {", ".join(map(repr, PARTS))} (default: all)',
    )
    parser.add_argument(
        '--quick', action='store_true', help='small sizes, a few minutes'
    )
    add_device_arg(parser)
    add_out_arg(parser)
    parser.set_defaults(out_json=Path('benchmark.json'))
    parser.add_argument(
        '--page',
        help='Markdown file whose table, between marks, is replaced by '
        "this run's",
    )
    return parser.parse_args()


def command_of(part: BenchmarkPart, quick: bool, device: str) -> list[str]:
    """The words that run a part."""
    words = [sys.executable, str(HERE / f'benchmark_{part.script}')]
    words += part.quick if quick else part.words
    return [*words, '--device', device] if part.on_device else words


def with_target(row: Row) -> Row:
    """A line with the target that it is held to, if there is one."""
    for part, what, unit, target in TARGETS:
        if (part, unit) == (row.part, row.unit) and re.fullmatch(
            what, row.what
        ):
            return replace(row, target=target)
    return row


def measure(name: str, args: argparse.Namespace) -> tuple[list[Row], int]:
    """Run a part; its lines and status, not 0 if its results were wrong."""
    command = command_of(PARTS[name], args.quick, args.device)
    console.print(
        f'[bold]{name}[/]: {shlex.join(command[1:])}', soft_wrap=True
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'part.json')
        status = subprocess.call([*command, '--out-json', str(out)])
        rows = read_report(out)[0] if out.is_file() else []
    rows = [replace(row, part=name) for row in rows]
    # Targets are for whole sizes.
    return rows if args.quick else [*map(with_target, rows)], status


def write_page(path: str, rows: Iterable[Row], machine: dict) -> None:
    """Replace the table of a page."""
    page = Path(path)
    text = replace_marked(page.read_text(), markdown(machine, rows))
    write_whole(page, text)


def main() -> int:
    """Run the tool; status 1 if a part failed."""
    args = parse_args()
    if args.page:
        text = Path(existing_file(args.page, 'page')).read_text()
        try:
            replace_marked(text, '')
        except ValueError as err:
            raise UsageError(f'--page {args.page}: {err}') from None
    machine = describe_machine()
    rows, failed = [], []
    for name in args.parts:
        lines, status = measure(name, args)
        rows += lines
        if status:
            console.print(f'[red]{name} ended with status {status}[/]')
            failed.append(name)
        write_report(args.out_json, rows, machine=machine, failed=failed)
    print_rows('Benchmark', rows, console)
    console.print(f'written to {args.out_json}')
    if args.page and not failed:
        write_page(args.page, rows, machine)
        console.print(f'table of {args.page} replaced')
    if failed:
        print(f'error: failed: {", ".join(failed)}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    run_cli(main)
