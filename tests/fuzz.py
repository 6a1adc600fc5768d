#!/usr/bin/env python3
"""Damage files at random and see what their readers make of them.

Each case damages the valid files of a target in a few places and reads them
in a child process, with limits on time and memory. Right is the same result
as before, other content that is possible, or one of mmps' own errors; a
fault is any other exception, a crash, a hang, too much memory, or a result
that cannot be. Faults are cut down to the edits they need and written to
--out-dir; their seeds repeat them. The status is 1 if there is a fault.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmps.cli.common import run_cli
from mmps.utils.errors import UsageError

from fuzzing import (
    TARGETS,
    CaseRunner,
    GuardedRunner,
    Outcome,
    fewest_edits,
)

KINDS = ('same', 'other', 'refused', 'fault')
MAX_EDITS = 4


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'targets',
        nargs='*',
        help=f'of {", ".join(TARGETS)} (default: all)',
    )
    parser.add_argument(
        '--count', type=int, default=1000, help='cases of each target'
    )
    parser.add_argument(
        '--seconds', type=float, help='longest time for each target'
    )
    parser.add_argument('--seed', type=int, default=0, help='of all cases')
    parser.add_argument(
        '--case-seconds', type=float, default=10, help='longest of one case'
    )
    parser.add_argument(
        '--memory', type=int, default=1024, metavar='MIB', help='of one case'
    )
    parser.add_argument(
        '--repeat',
        type=int,
        nargs='+',
        metavar='EDIT',
        help='run one case again, by the seeds of its edits',
    )
    parser.add_argument(
        '--out-dir', type=Path, help='where damaged files of faults are put'
    )
    parser.add_argument('--out-json', type=Path, metavar='FILE')
    args = parser.parse_args()
    if unknown := sorted(set(args.targets) - set(TARGETS)):
        parser.error(f'no target {unknown[0]}; there are {", ".join(TARGETS)}')
    if args.count < 1 or args.case_seconds <= 0 or args.memory < 1:
        parser.error('--count, --case-seconds, --memory: expected more than 0')
    args.targets = args.targets or list(TARGETS)
    return args


@dataclass
class Tally:
    """What became of a target's cases.

    Args:
        name: Of the target.
        seconds: That it took.
        kinds: Outcomes by kind.
        faults: Detail of each kind of fault to the edits that cause it.
    """

    name: str
    seconds: float = 0
    kinds: Counter = field(default_factory=Counter)
    faults: dict[str, list[int]] = field(default_factory=dict)

    def row(self) -> dict:
        """Of the table."""
        counts = {kind: self.kinds[kind] for kind in KINDS}
        return dict(
            target=self.name,
            cases=sum(counts.values()),
            **counts,
            seconds=round(self.seconds, 1),
            faults=self.faults,
        )


def edits_of(name: str, seed: int, number: int) -> list[int]:
    """Seeds of the edits of a target's case; few edits are more frequent."""
    rng = random.Random(f'{name} {seed} {number}')
    num = min(rng.randint(1, MAX_EDITS), rng.randint(1, MAX_EDITS))
    return [rng.randrange(2**32) for _ in range(num)]


def fuzz(name: str, args: argparse.Namespace) -> Tally:
    """Run a target's cases."""
    tally, start = Tally(name), time.monotonic()
    memory = args.memory * 2**20
    with GuardedRunner(TARGETS[name], args.case_seconds, memory) as runner:
        for number in track(range(args.count), name, transient=True):
            seeds = edits_of(name, args.seed, number)
            outcome = runner.run(seeds)
            tally.kinds[outcome.kind] += 1
            if outcome.kind == 'fault':
                note_fault(tally, runner, outcome, seeds)
            tally.seconds = time.monotonic() - start
            if args.seconds and tally.seconds > args.seconds:
                break
    return tally


def note_fault(
    tally: Tally, runner: GuardedRunner, outcome: Outcome, seeds: list[int]
) -> None:
    """Keep one case of each kind of fault, with as few edits as it needs."""
    if _sort(outcome.detail) not in map(_sort, tally.faults):
        tally.faults[outcome.detail] = fewest_edits(runner, seeds)


def _sort(detail: str) -> str:
    """What messages of one sort of fault have in common."""
    return re.sub(r'\d+|\S*/\S*', '#', detail)[:45]


def write_faults(tally: Tally, folder: Path) -> None:
    """Write the damaged files of every kind of fault."""
    target = TARGETS[tally.name]
    for number, (detail, seeds) in enumerate(tally.faults.items()):
        place = folder / f'{tally.name}-{number}'
        CaseRunner(target, place / 'files').write(seeds)
        note = dict(target=tally.name, repeat=seeds, detail=detail)
        (place / 'fault.json').write_text(json.dumps(note, indent=1) + '\n')


def show(tallies: list[Tally]) -> None:
    """Print the table, and the faults below."""
    table = Table('target', title='damaged files')
    for title in ('cases', *KINDS, 'seconds'):
        table.add_column(title, justify='right')
    for tally in tallies:
        row = tally.row()
        row.pop('faults')
        table.add_row(*map(str, row.values()))
    console = Console()
    console.print(table)
    for tally in tallies:
        for detail, seeds in tally.faults.items():
            edits = ' '.join(map(str, seeds))
            console.print(
                f'{tally.name}: {detail}\n  --repeat {edits}', markup=False
            )


def repeat(args: argparse.Namespace) -> int:
    """Run one case in this process, so that an error keeps its traceback."""
    if len(args.targets) != 1:
        raise UsageError('--repeat: expected one target')
    folder = args.out_dir or Path(tempfile.mkdtemp(prefix='mmps-fuzz-'))
    runner = CaseRunner(TARGETS[args.targets[0]], folder / 'files')
    runner.write(args.repeat)
    print(f'{folder / "files"}: reading')
    print(runner.target.read(folder / 'files'))
    return 0


def main() -> int:
    """Run the tool."""
    args = parse_args()
    if args.repeat:
        return repeat(args)
    tallies = [fuzz(name, args) for name in args.targets]
    show(tallies)
    if args.out_dir:
        for tally in tallies:
            write_faults(tally, args.out_dir)
    if args.out_json:
        rows = [tally.row() for tally in tallies]
        args.out_json.write_text(json.dumps(rows, indent=1) + '\n')
    return int(any(tally.faults for tally in tallies))


if __name__ == '__main__':
    run_cli(main)
