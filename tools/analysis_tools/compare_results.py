#!/usr/bin/env python3
"""Compare two result files: figures, and everything that they depend on.

Reads results.json of tools/test.py, or what eval_search.py --results writes.
Exit status: 0 same figures, 1 figures differ, 2 not comparable (annotations
or protocol differ) or an error of use.
"""

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from mmps.cli.common import run_cli
from mmps.results.comparison import (
    Comparison,
    Difference,
    compare_results,
    in_words,
)
from mmps.results.result_file import read_results

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('first', metavar='A.json', help='of tools/test.py')
    parser.add_argument('second', metavar='B.json', help='likewise')
    parser.add_argument(
        '--config',
        action='store_true',
        help='list the settings of the configs that differ',
    )
    return parser.parse_args()


def figures_table(figures: list[Difference]) -> Table:
    """All figures; fractions stay fractions."""
    table = Table(title='figures')
    table.add_column('name')
    for title in ('A', 'B', 'B - A'):
        table.add_column(title, justify='right')
    for name, first, second in figures:
        difference = ''
        if None not in (first, second):
            difference = 'same' if first == second else _signed(second - first)
        table.add_row(name, _figure(first), _figure(second), difference)
    return table


def differences_table(title: str, differences: list[Difference]) -> Table:
    """Values that differ, by name."""
    table = Table(title=title)
    table.add_column('name', overflow='fold')
    for side in 'AB':
        table.add_column(side, overflow='fold')
    for name, first, second in differences:
        table.add_row(name, _value(name, first), _value(name, second))
    return table


def show(found: Comparison, with_config: bool) -> None:
    """Print figures, then what differs part by part, then the verdict."""
    console.print(figures_table(found.figures))
    same = [name for name, differing in found.parts.items() if not differing]
    for name, differing in found.parts.items():
        if name == 'config' and differing and not with_config:
            console.print(
                f'config: {len(differing)} settings differ (--config)'
            )
        elif differing:
            console.print(differences_table(name, differing))
    if same:
        console.print(f'the same: {", ".join(same)}')
    console.print(found.verdict, style='bold', soft_wrap=True)


def main() -> int:
    """Run the tool."""
    args = parse_args()
    sides = [read_results(path) for path in (args.first, args.second)]
    for label, path, side in zip('AB', (args.first, args.second), sides):
        console.print(
            f'{label}: {path} ({side["config"].get("name")})', soft_wrap=True
        )
    found = compare_results(*sides)
    show(found, args.config)
    return found.status


def _figure(value: float | None) -> str:
    return '' if value is None else f'{value:.4f}'


def _signed(value: float) -> str:
    return f'{value:+.4f}' if abs(value) >= 5e-5 else f'{value:+.1e}'


def _value(name: str, value: Any) -> str:
    if name.rpartition('.')[2] in ('sha256', 'mmps_source', 'predictions'):
        return str(value)[:12]
    return in_words(value)


if __name__ == '__main__':
    run_cli(main)
