"""Reading the text files of PRW and LSPS with errors that name them."""

import os

from .errors import FaultList


def read_rows(
    path: str | os.PathLike, faults: FaultList, sep: str | None = None
) -> list[tuple[int, list[str]]]:
    """Split the lines of a text file, whatever its line ends.

    Args:
        path: The file, UTF-8.
        faults: Receives what is wrong with it.
        sep: Separator; None is any run of white space. With a separator,
            empty fields at the end of a line are dropped.

    Returns:
        (line number, fields) of every line that is not blank.
    """
    try:
        with open(path, encoding='utf-8') as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        faults.add(path, 'no such file', 'a text file')
        return []
    except UnicodeDecodeError:
        faults.add(path, 'is not text', 'a UTF-8 text file')
        return []
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            fields = [v.strip() for v in line.split(sep)]
            while fields and not fields[-1]:
                fields.pop()
            rows.append((number, fields))
    return rows
