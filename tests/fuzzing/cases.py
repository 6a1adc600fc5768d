"""Running cases in this process."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from .edits import Files, edited
from .targets import Target

SAME, OTHER, REFUSED, FAULT = 'same', 'other', 'refused', 'fault'


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Args:
        kind: 'same': read, and equal to what the valid files give. 'other':
            read as other content that is possible. 'refused': with an error
            of ours. 'fault': anything else.
        detail: Kind and first line of the error.
    """

    kind: str
    detail: str = ''


class CaseRunner:
    """Damages a target's files and reads them, case after case.

    Args:
        target: What is read.
        folder: Where its files are written; it is emptied.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        target.write(folder)
        self.files: Files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob('*'))
            if path.is_file()
        }
        self.valid = target.read(folder)

    def write(self, seeds: list[int]) -> None:
        """Make the folder hold the damaged files and nothing else."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        for name, data in edited(self.files, seeds).items():
            path = self.folder / name
            if data is None:
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def run(self, seeds: list[int]) -> Outcome:
        """Run one case.

        Args:
            seeds: Of the edits.
        """
        self.write(seeds)
        try:
            with warnings.catch_warnings():
                # A cast that overflows warns only, and gives any number.
                warnings.simplefilter('error', RuntimeWarning)
                found = self.target.read(self.folder)
        except self.target.errors as err:
            kind = REFUSED if str(err).strip() else FAULT
            return Outcome(kind, _line(err))
        except Exception as err:
            return Outcome(FAULT, _line(err))
        return Outcome(SAME if found == self.valid else OTHER)


def fewest_edits(run: 'CaseRunner', seeds: list[int]) -> list[int]:
    """Leave out the edits of a fault that it does not need.

    Args:
        run: Whatever has the ``run`` of a :class:`CaseRunner`.
        seeds: Of a case that is a fault.
    """
    kept = list(seeds)
    for seed in seeds:
        fewer = [one for one in kept if one != seed]
        if fewer and run.run(fewer).kind == FAULT:
            kept = fewer
    return kept


def _line(err: Exception) -> str:
    lines = str(err).splitlines() or ['']
    return f'{type(err).__name__}: {lines[0]:.200}'
