"""Reading the text files of PRW and LSPS with errors that name them."""

import os
import re

from .errors import FaultList
from .frame_table import MAX_ID

_WHOLE = re.compile(r'[+-]?[0-9]{1,20}')


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
    except OSError as error:
        faults.add(path, f'cannot be read ({error.strerror})', 'a text file')
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


def parse_id(text: str) -> int:
    """Read an id, or another whole number, as decimal digits.

    Args:
        text: Digits, with or without a sign.

    Raises:
        ValueError: It is anything else, or not below :data:`MAX_ID`.
    """
    if not _WHOLE.fullmatch(text) or abs(int(text)) >= MAX_ID:
        raise ValueError(f'{text[:40]!r} is no whole number below {MAX_ID}')
    return int(text)


def parse_number(text: str) -> float:
    """Read a number; unlike ``float`` takes no ``1_000``.

    Raises:
        ValueError: It is anything else.
    """
    if '_' in text or not text.isascii():
        raise ValueError(f'{text[:40]!r} is no number')
    return float(text)
