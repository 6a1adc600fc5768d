"""Cases in this process."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from .damage import FOLDER, MISSING, Files, damaged
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

    def write(self, case: bytes) -> None:
        """Make the folder hold the damaged files and nothing else."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        files = {**self.files, **damaged(self.files, case)}
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if data == FOLDER:
                path.mkdir()
            elif data != MISSING:
                path.write_bytes(data)

    def run(self, case: bytes) -> Outcome:
        """Run one case.

        Args:
            case: What :func:`~fuzzing.damaged` makes damage of.
        """
        self.write(case)
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


def _line(err: Exception) -> str:
    lines = str(err).splitlines() or ['']
    return f'{type(err).__name__}: {lines[0]:.200}'
