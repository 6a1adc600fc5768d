"""Reading JSON files and their values with errors that name them."""

import json
import math
import os
from typing import Any

from .errors import FaultList
from .frame_table import MAX_ID


def read_json(path: str | os.PathLike, faults: FaultList) -> Any:
    """Content of a JSON file, None after recording a fault.

    A key that an object has twice is a fault: of two lists of annotations
    one would be lost.
    """
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file, object_pairs_hook=_unique)
        if content is None:
            faults.add(path, 'holds null', 'objects')
        return content
    except FileNotFoundError:
        faults.add(path, 'no such file', 'a JSON file')
    except RecursionError:
        faults.add(path, 'cannot be read (nested too deeply)', 'a JSON file')
    except (ValueError, OSError) as error:
        faults.add(path, f'cannot be read ({error})', 'a JSON file')
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'an object has the key {twice!r} twice')
    return found


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_integer(value) and abs(value) < MAX_ID


def is_id(value: Any) -> bool:
    """Whether a value is an integer below :data:`MAX_ID`."""
    return _is_integer(value) and abs(value) < MAX_ID


def is_key(value: Any) -> bool:
    """Whether a value may be the id of an image or category."""
    return _is_integer(value) or isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_bbox(box: Any, where: str, faults: FaultList) -> list[float] | None:
    """Check one [x, y, w, h]; None after recording a fault."""
    if isinstance(box, list) and len(box) == 4 and all(map(is_number, box)):
        return box
    faults.add(where, f'bbox is {box!r:.120}', '[x, y, w, h], four numbers')
    return None
