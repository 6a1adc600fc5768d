"""Lines of the table of benchmarks, and the file of one part."""

import json
import operator
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mmps.utils.files import write_whole

TARGETS = {'>=': operator.ge, '<=': operator.le}


@dataclass(frozen=True)
class Row:
    """One figure of ours beside another one.

    Args:
        what: What was measured ('PRW', 'pcnet_r18_scenes').
        unit: 's/image', 'MiB', 'images/s', ...; '' for a plain number.
        ours: The figure.
        beside: That of what it is compared with. Defaults to None.
        beside_what: What that is ('plain loop'). Defaults to ''.
        ratio: Ours / beside, as measured in turns; None: their quotient.
        target: What the ratio, or our figure where there is none, should
            fulfil, such as '>= 50'. Defaults to None.
        part: Of the benchmark. Defaults to ''.

    Raises:
        ValueError: The target has another form.
    """

    what: str
    unit: str
    ours: float
    beside: float | None = None
    beside_what: str = ''
    ratio: float | None = None
    target: str | None = None
    part: str = ''

    def __post_init__(self) -> None:
        if self.ratio is None and self.beside is not None:
            object.__setattr__(self, 'ratio', self.ours / self.beside)
        if self.target is not None:
            sign, _, value = self.target.partition(' ')
            if sign not in TARGETS:
                raise ValueError(
                    f'target {self.target!r}: expected one of '
                    f'{tuple(TARGETS)} and a number'
                )
            float(value)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        sign, value = self.target.split()
        judged = self.ours if self.ratio is None else self.ratio
        return TARGETS[sign](judged, float(value))


def write_report(
    path: str | os.PathLike, rows: Iterable[Row], **figures: Any
) -> None:
    """Write the JSON file of one part, or of all of them.

    Args:
        path: The file.
        rows: Lines of the table.
        **figures: What else was measured, by name.
    """
    lines = [{**asdict(row), 'met': row.met} for row in rows]
    text = json.dumps({'rows': lines, **figures}, indent=1)
    write_whole(path, f'{text}\n')


def read_report(path: str | os.PathLike) -> tuple[list[Row], dict[str, Any]]:
    """Read what :func:`write_report` wrote: rows, and the rest by name."""
    found = json.loads(Path(path).read_text())
    names = {field.name for field in fields(Row)}
    rows = [
        Row(**{k: v for k, v in line.items() if k in names})
        for line in found.pop('rows')
    ]
    return rows, found
