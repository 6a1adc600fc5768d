"""Comparison of two result files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

SAME, DIFFERENT, NOT_COMPARABLE = 0, 1, 2
# Parts in the order in which they are named. A part that one side does not
# know is left out; parts with equal hashes are equal.
_PARTS = (
    'protocol', 'data', 'inference', 'config', 'weights', 'predictions',
    'seed', 'device', 'versions',
)  # fmt: skip
_HASHED = ('config', 'data')


class Difference(NamedTuple):
    """One value that two files do not share; None where a side lacks it."""

    name: str
    first: Any
    second: Any


@dataclass
class Comparison:
    """What :func:`compare_results` finds.

    Args:
        figures: Every figure of either file.
        parts: Values that differ, by part; no entry for a part that one
            file does not know.
        verdict: One line.
        status: :data:`SAME`, :data:`DIFFERENT` or :data:`NOT_COMPARABLE`.
    """

    figures: list[Difference]
    parts: dict[str, list[Difference]]
    verdict: str
    status: int


def compare_results(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Comparison:
    """Compare figures, and everything that they depend on.

    Figures are comparable if they are of the same annotations and were
    judged by the same protocol. They are the same if those that both files
    have are equal to the last bit.

    Args:
        first: As ``mmps.results.result_file.read_results`` returns it.
        second: The other one.

    Returns:
        All differences and a verdict.
    """
    parts = {
        name: _part(name, first[name], second[name])
        for name in _PARTS
        if first[name] is not None and second[name] is not None
    }
    pair = first['figures'], second['figures']
    figures = [
        Difference(name, *(figures.get(name) for figures in pair))
        for name in {**pair[0], **pair[1]}
    ]
    common = [f for f in figures if f.name in pair[0] and f.name in pair[1]]
    reasons = _reasons(first, second, parts)
    if not common:
        reasons.append('no figure is in both')
    if reasons:
        verdict = f'not comparable: {"; ".join(reasons)}'
        return Comparison(figures, parts, verdict, NOT_COMPARABLE)
    same = all(figure.first == figure.second for figure in common)
    verdict = 'same figures' if same else 'figures differ'
    if len(common) < len(figures):
        verdict += ' among those that both have'
    verdict += f': {_explain(parts, same)}'
    return Comparison(figures, parts, verdict, SAME if same else DIFFERENT)


def flatten(value: Any, name: str = '') -> dict[str, Any]:
    """Nested dicts and lists to values by dotted name (``a.b[0].c``).

    Empty dicts and lists are kept as values.
    """
    if isinstance(value, Mapping) and value:
        items = {f'{name}.{key}': item for key, item in value.items()}
    elif isinstance(value, list) and value:
        items = {f'{name}[{i}]': item for i, item in enumerate(value)}
    else:
        return {name.lstrip('.'): value}
    flat = {}
    for key, item in items.items():
        flat |= flatten(item, key)
    return flat


def in_words(value: Any) -> str:
    """A value as people would write it; None is one that is not set."""
    if isinstance(value, Mapping):
        return ' '.join(f'{key}={item}' for key, item in value.items())
    if isinstance(value, list):
        return ' '.join(map(str, value))
    return 'not set' if value is None else str(value)


def _part(name: str, first: Any, second: Any) -> list[Difference]:
    if name in _HASHED and first.get('sha256') == second.get('sha256'):
        return []
    if name == 'config':
        first, second = first.get('content'), second.get('content')
    pair = first, second
    if name != 'protocol':  # its settings belong together
        pair = flatten(first), flatten(second)
    return [
        Difference(key or name, *(flat.get(key) for flat in pair))
        for key in {**pair[0], **pair[1]}
        if any(key not in flat for flat in pair)
        or pair[0][key] != pair[1][key]
    ]


def _reasons(
    first: Mapping, second: Mapping, parts: dict[str, list[Difference]]
) -> list[str]:
    """Say why figures cannot be compared; nothing if they can."""
    reasons = []
    if parts.get('data'):
        names = [
            f'{side["data"].get("name")} {side["data"].get("split")}'
            for side in (first, second)
        ]
        names = ' and '.join(dict.fromkeys(names))
        reasons.append(f'the annotations differ ({names})')
    for difference in parts.get('protocol', ()):
        if difference.name == 'evaluated':
            continue  # further galleries do not touch the figures of one
        one, other = map(in_words, difference[1:])
        if one.isdigit() and other.isdigit() and difference.name == 'main':
            reasons.append(f'galleries of {one} and {other} frames')
        else:
            reasons.append(f'{difference.name} is {one} and {other}')
    return reasons


def _explain(parts: dict[str, list[Difference]], same: bool) -> str:
    """Name what is the same and what is not."""
    judged = [part for part in ('protocol', 'data') if part in parts]
    differ = [part for part, found in parts.items() if found]
    differ = [part for part in differ if part not in judged]
    alike = [part for part in parts if part not in differ]
    if not differ and not same:
        return f'although {_list(alike)} are the same'
    if not differ:
        return f'{_list(alike)} are the same too'
    text = f'same {_list(judged)}, ' if judged else ''
    return f'{text}other {_list(differ)}'


def _list(names: list[str]) -> str:
    return ' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))
