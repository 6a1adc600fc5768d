"""The result file of a test run: figures, and what they depend on."""

import json
import math
import os
from pathlib import Path
from typing import Any

from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole

NAME = 'results.json'
_FORMAT = 'mmps results 1'
# Which of them may be None, because a run does not know them.
_PARTS = {
    'figures': False,
    'protocol': True,
    'inference': False,
    'config': False,
    'weights': True,
    'predictions': True,
    'data': True,
    'seed': True,
    'device': True,
    'versions': False,
}
_SCALARS = ('predictions', 'device')


def write_results(path: str | os.PathLike, results: dict[str, Any]) -> None:
    """Write a result file, whole or not at all.

    Floats are written so that reading gives the same bits; a figure that is
    not finite becomes null.

    Args:
        path: The file.
        results: The parts, see :func:`read_results`, as plain values.
    """
    figures = {
        name: None if _no_number(value) else value
        for name, value in results['figures'].items()
    }
    content = {'format': _FORMAT}
    content |= {name: results.get(name) for name in _PARTS}
    content['figures'] = figures
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, f'{text}\n')


def read_results(path: str | os.PathLike) -> dict[str, Any]:
    """Read and check a result file.

    Args:
        path: As :func:`write_results` wrote it.

    Returns:
        ``figures`` (number or None by name), ``protocol``, ``inference``,
        ``config`` (name, sha256, content), ``weights`` (sha256, iter),
        ``predictions`` (a hash), ``data`` (name, split, counts, sha256),
        ``seed`` (training, test), ``device``, ``versions``. Parts that the
        run did not know are None.

    Raises:
        UsageError: There is no such file, or it is no result file; the
            message names the part.
    """
    if not Path(path).is_file():
        raise UsageError(f'result file {path} does not exist')
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as err:
        raise UsageError(f'result file {path}: no JSON ({err})') from err
    found = content.get('format') if isinstance(content, dict) else None
    if found != _FORMAT:
        raise UsageError(
            f'result file {path}: expected format {_FORMAT!r}, found {found!r}'
        )
    for name, optional in _PARTS.items():
        value, kind = content.get(name), str if name in _SCALARS else dict
        if not isinstance(value, kind) and not (optional and value is None):
            raise UsageError(
                f'result file {path}: {name} is {value!r:.40}, expected '
                f'a {kind.__name__}'
            )
    for name, value in content['figures'].items():
        if _no_number(value) and value is not None:
            raise UsageError(
                f'result file {path}: figure {name} is {value!r:.40}, '
                'expected a number or null'
            )
    return {name: content[name] for name in _PARTS}


def _no_number(value: Any) -> bool:
    return (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
    )
