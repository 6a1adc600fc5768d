#!/usr/bin/env python3
"""Damage files at random and see what their readers make of them.

Each case damages the valid files of a target in a few places and reads them
in a child process, with limits on time and memory. Accepted are the same
result as before, other content that is possible, and mmps' own errors; a
fault is any other exception, a crash, a hang, too much memory, or a result
that is not possible. hypothesis draws the cases as bytes and reduces a fault
to the damage that it needs; --repeat takes the bytes, --out-dir gets the
files. The status is 1 if there is a fault.
"""

import argparse
import contextlib
import json
import math
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky
from rich.console import Console
from rich.table import Table

from mmps.cli.common import run_cli
from mmps.utils.errors import UsageError

from fuzzing import CASES, FAULT, TARGETS, CaseRunner, GuardedRunner

KINDS = ('same', 'other', 'refused', FAULT)
SHRINK_SECONDS = 60


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
        type=bytes.fromhex,
        metavar='BYTES',
        help='run one case again, by its bytes in hexadecimal form',
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
        kinds: Number of outcomes by kind.
        faults: Bytes of a case by the detail of each sort of fault.
    """

    name: str
    seconds: float = 0
    kinds: Counter = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)

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


class FaultError(Exception):
    """Reports a fault to hypothesis, which then looks for a simpler case."""


class TimeIsUp(BaseException):
    """Ends hypothesis, to which every Exception is a fault."""


def fuzz(name: str, args: argparse.Namespace) -> Tally:
    """Run a target's cases."""
    tally, start = Tally(name), time.monotonic()
    end = start + (args.seconds or math.inf)
    memory = args.memory * 2**20
    with (
        GuardedRunner(TARGETS[name], args.case_seconds, memory) as runner,
        Console().status(name),
    ):
        while tally.kinds.total() < args.count:
            if not next_fault(runner, tally, args, end):
                break
    tally.seconds = time.monotonic() - start
    return tally


def next_fault(
    runner: GuardedRunner, tally: Tally, args: argparse.Namespace, end: float
) -> bool:
    """Run cases up to a fault of another sort, and make that case simpler.

    Args:
        runner: Of the target.
        tally: Of the cases before; gets these ones, and the fault.
        args: The command line.
        end: When to stop.

    Returns:
        Whether there was a fault, so that more cases may be left.
    """
    found: dict[str, str] = {}
    known = set(map(_sort, tally.faults))

    @seed(f'{tally.name} {args.seed} {len(known)}')
    @settings(
        max_examples=args.count - tally.kinds.total(),
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def check(case: bytes) -> None:
        nonlocal end
        if time.monotonic() > end:
            raise TimeIsUp
        outcome = runner.run(case)
        sort = _sort(outcome.detail)
        if not found:
            tally.kinds[outcome.kind] += 1
            new = sort not in known
        else:  # of which simpler cases are tried
            new = sort in map(_sort, found)
        if new and outcome.kind == FAULT:
            if not found:
                end = min(end, time.monotonic() + SHRINK_SECONDS)
            found.clear()
            found[outcome.detail] = case.rstrip(b'\0').hex()
            raise FaultError

    with contextlib.suppress(FaultError, Flaky, TimeIsUp):
        check()
    tally.faults.update(found)
    return bool(found)


def _sort(detail: str) -> str:
    """The part of a message that faults of one sort have in common."""
    return re.sub(r'\d+|\S*/\S*', '#', detail)[:45]


def write_faults(tally: Tally, folder: Path) -> None:
    """Write the damaged files of every kind of fault."""
    target = TARGETS[tally.name]
    for number, (detail, case) in enumerate(tally.faults.items()):
        place = folder / f'{tally.name}-{number}'
        CaseRunner(target, place / 'files').write(bytes.fromhex(case))
        note = dict(target=tally.name, repeat=case, detail=detail)
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
        for detail, case in tally.faults.items():
            text = f'{tally.name}: {detail}\n  --repeat {case}'
            console.print(text, markup=False, soft_wrap=True)


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
    if args.repeat is not None:
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
