"""Damage to text files and JSON that stay text files and JSON."""

import json
import random
from typing import Any

from .odd import NAMES, WORDS, odd_number, odd_value


def edit_text(data: bytes, rng: random.Random) -> bytes:
    """Change a line of a table, or the lines' order.

    Args:
        data: UTF-8 text.
        rng: Chooses what is done.
    """
    lines = data.decode('utf-8', 'surrogateescape').split('\n')
    place = rng.randrange(len(lines))
    line = lines[place]
    sep = '\t' if '\t' in line else ' '
    fields = line.split(sep)
    i, j = rng.randrange(len(fields)), rng.randrange(len(fields))
    kind = rng.randrange(10)
    if kind < 3:
        fields[i] = rng.choice(WORDS)
    elif kind == 3:
        fields[i] = rng.choice(NAMES)
    elif kind == 4:
        del fields[i]
    elif kind == 5:
        fields.insert(i, fields[j])
    elif kind == 6:
        fields[i], fields[j] = fields[j], fields[i]
    elif kind == 7:
        sep = rng.choice(('\t', ' ', ',', '', '\t\t', '\u00a0'))
    elif kind == 8:
        fields[i] += rng.choice(WORDS)
    lines[place] = sep.join(fields)
    if kind == 9:
        other = rng.choice(
            ([], [line, line], [*line.split(' ')], [rng.choice(WORDS)])
        )
        lines[place : place + 1] = other
    return '\n'.join(lines).encode('utf-8', 'surrogatepass')


def edit_json(data: bytes, rng: random.Random) -> bytes:
    """Change one value, key or item of a JSON document.

    Args:
        data: The document; what is none is handled as text.
        rng: Chooses what is done.
    """
    try:
        content = json.loads(data)
        places = list(_places(content))
    except (ValueError, RecursionError):
        return edit_text(data, rng)
    if not places:
        return _dumps(odd_value(rng), rng).encode('utf-8', 'surrogatepass')
    node, key = rng.choice(places)
    other, second = rng.choice(places)
    kind = rng.randrange(9)
    if kind < 4:
        node[key] = odd_value(rng)
    elif kind == 4:
        del node[key]
    elif kind == 5 and isinstance(node, list):
        node.insert(key, node[key])
    elif kind == 6:
        node[key], other[second] = _copy(other[second]), _copy(node[key])
    elif kind == 7 and isinstance(node, dict):
        new = rng.choice(('', 'ID', f' {key}', key.upper(), 'bbox', 'id'))
        node[new] = node.pop(key)
    else:
        content = rng.choice(([content], {'content': content}, node[key]))
    text = _dumps(content, rng)
    if kind == 8 and rng.random() < 0.5:
        text = _double_key(text, rng)
    return text.encode('utf-8', 'surrogatepass')


def _places(node: Any) -> Any:
    """(container, key) of every value."""
    if isinstance(node, dict):
        for key in node:
            yield node, key
            yield from _places(node[key])
    elif isinstance(node, list):
        for i in range(len(node)):
            yield node, i
            yield from _places(node[i])


def _dumps(content: Any, rng: random.Random) -> str:
    try:
        return json.dumps(content, ensure_ascii=rng.random() < 0.7)
    except (ValueError, RecursionError):  # far too deep
        return '[' * 100_000


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _double_key(text: str, rng: random.Random) -> str:
    """Name a key a second time, with another value."""
    starts = [i for i, sign in enumerate(text) if sign == '{']
    if not starts:
        return text
    place = rng.choice(starts)
    end = text.find(':', place)
    if text[place + 1 : place + 2] != '"' or end < 0:
        return text
    double = f'{text[place + 1 : end]}: {json.dumps(odd_number(rng))}, '
    return text[: place + 1] + double + text[place + 1 :]
