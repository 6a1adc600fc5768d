#!/usr/bin/env python3
"""Train a list of configs with several seeds and put them in one table.

Runs one training after another, each in WORK_DIR/CONFIG/seedN. What is there
already is not done again, so an interrupted list goes on where it stopped,
and a longer list or more seeds add to it; nor is what other machines have
done, by their ablation.csv (--known). The figures are those of the last
validation. The table is written anew after every run.
"""

import argparse
import csv
import io
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from mmps.cli.common import run_cli
from mmps.cli.tool_runs import train
from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file, write_whole
from mmps.visualization.training import read_scalars

FIGURES = {
    'mAP': 'person_search/mAP',
    'top-1': 'person_search/top-1',
    'detection recall': 'person_search/recall',
    'detection AP': 'person_search/AP',
}

CSV_HEADER = ['config', 'seed', *FIGURES]

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'configs',
        nargs='+',
        metavar='CONFIG',
        help='NAME=CONFIG gives the row a name (default: the file name)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/ablation'),
        help='folder of the runs and the table (default: %(default)s)',
    )
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='of the runs (0)'
    )
    parser.add_argument(
        '--known',
        type=Path,
        nargs='+',
        default=[],
        metavar='CSV',
        help='ablation.csv of runs that were made elsewhere',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='for every run',
    )
    return parser.parse_args()


def named(configs: list[str]) -> dict[str, str]:
    """Row name to config.

    Raises:
        UsageError: A config is missing, or two rows have one name.
    """
    rows = {}
    for text in configs:
        name, _, config = text.rpartition('=')
        existing_file(config, 'config')
        name = name or Path(config).stem
        if name in rows:
            raise UsageError(f'two rows are called {name}: use NAME=CONFIG')
        rows[name] = config
    return rows


def figures_of(folder: Path) -> dict[str, float] | None:
    """Figures of a finished run in per cent; None if it has none."""
    try:
        scalars = read_scalars(folder)
    except FileNotFoundError:
        return None
    if any(key not in scalars for key in FIGURES.values()):
        return None
    return {
        name: 100 * float(scalars[key][-1, 1]) for name, key in FIGURES.items()
    }


def read_known(files: list[Path]) -> dict[tuple[str, int], list[float]]:
    """Figures in per cent by row name and seed.

    Raises:
        UsageError: A file is no table of this tool.
    """
    known = {}
    for path in files:
        existing_file(path, 'table')
        with path.open(newline='') as file:
            header, *lines = list(csv.reader(file)) or [[]]
        if header != CSV_HEADER:
            raise UsageError(
                f'{path}: expected the columns {", ".join(CSV_HEADER)}, got '
                f'{", ".join(header) or "nothing"}'
            )
        for number, line in enumerate(lines, 2):
            try:
                name, seed, *figures = line
                values = [float(value) for value in figures]
                known[name, int(seed)] = values
                fits = len(values) == len(FIGURES)
            except ValueError:
                fits = False
            if not fits:
                raise UsageError(
                    f'{path}, line {number}: expected a name, a seed and '
                    f'{len(FIGURES)} figures, got {",".join(line)}'
                )
    return known


def collect(
    rows: dict[str, str],
    seeds: list[int],
    work_dir: Path,
    known: dict[tuple[str, int], list[float]],
) -> dict[str, dict[int, list[float]]]:
    """Row name to figures by seed of the runs that are finished."""
    found = {}
    for name in rows:
        runs = {}
        for seed in seeds:
            folder = work_dir / name / f'seed{seed}'
            if (name, seed) in known:
                runs[seed] = known[name, seed]
            elif (folder / 'done').is_file():
                runs[seed] = list(figures_of(folder).values())
        if runs:
            found[name] = runs
    return found


def write(by_seed: dict[str, dict[int, list[float]]], work_dir: Path) -> None:
    """Write the table as Markdown, CSV and picture, and show it."""
    found = {
        name: np.array(list(runs.values())) for name, runs in by_seed.items()
    }
    header = ['config', 'runs', *FIGURES]
    lines = [header]
    for name, runs in found.items():
        cells = [f'{mean:.1f}' for mean in runs.mean(0)]
        if len(runs) > 1:
            spread = runs.std(0, ddof=1)
            cells = [f'{cell} ± {s:.1f}' for cell, s in zip(cells, spread)]
        lines.append([name, str(len(runs)), *cells])
    rule = ['---', *['---:'] * (len(header) - 1)]
    markdown = [' | '.join(line) for line in (header, rule, *lines[1:])]
    work_dir.mkdir(parents=True, exist_ok=True)
    write_whole(
        work_dir / 'ablation.md', ''.join(f'| {line} |\n' for line in markdown)
    )
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(CSV_HEADER)
    for name, runs in by_seed.items():
        for seed, run in runs.items():
            figures = (f'{value:.3f}' for value in run)
            writer.writerow([name, seed, *figures])
    write_whole(work_dir / 'ablation.csv', rows.getvalue())
    picture(found).savefig(work_dir / 'ablation.png', dpi=120)
    table = Table()
    table.add_column(header[0])
    for title in header[1:]:
        table.add_column(title, justify='right')
    for line in lines[1:]:
        table.add_row(*line)
    console.print(table)


def picture(found: dict[str, np.ndarray]) -> Figure:
    """mAP and top-1 of every row: mean, and every run as a point."""
    names = list(found)
    figure = Figure(figsize=(8, 1 + 0.4 * len(names)), layout='constrained')
    panels = figure.subplots(1, 2, sharey=True)
    for panel, column, title in zip(panels, (0, 1), ('mAP', 'top-1')):
        for row, name in enumerate(names):
            values = found[name][:, column]
            panel.barh(row, values.mean(), color='#9ecae1')
            panel.plot(values, [row] * len(values), 'k.', markersize=4)
        panel.set_xlabel(f'{title} (%)')
        panel.grid(axis='x', alpha=0.3)
        panel.set_axisbelow(True)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def main() -> None:
    """Run the tool."""
    args = parse_args()
    rows = named(args.configs)
    known = read_known(args.known)

    def report() -> None:
        write(collect(rows, args.seeds, args.work_dir, known), args.work_dir)

    todo = [
        (seed, name)
        for seed in args.seeds
        for name in rows
        if (name, seed) not in known
    ]
    for number, (seed, name) in enumerate(todo, 1):
        folder = args.work_dir / name / f'seed{seed}'
        console.print(f'[bold]{number} of {len(todo)}: {name}, seed {seed}[/]')
        start = time.time()
        train(
            console,
            rows[name],
            folder,
            [f'randomness.seed={seed}', *args.cfg_options],
        )
        if figures_of(folder) is None:
            raise UsageError(
                f'{folder}: the run has no {" or ".join(FIGURES)}; expected a '
                'config that validates at its last iteration with '
                'mmps.PersonSearchMetric'
            )
        if not (folder / 'done').is_file():
            minutes = (time.time() - start) / 60
            write_whole(folder / 'done', f'{minutes:.1f} minutes\n')
        report()
    if not todo:
        report()


if __name__ == '__main__':
    run_cli(main)
