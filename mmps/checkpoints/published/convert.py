"""Recognising a published checkpoint, and converting its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmps.utils.errors import UsageError

from .families import FAMILIES
from .family import ROWS, Family
from .rules import Weights, apply_rules


@dataclass(frozen=True)
class Imported:
    """A published checkpoint's weights as a config of mmps has them.

    Args:
        state: Of the config's model.
        family: What it was recognised as.
        dataset: 'prw' or 'cuhk-sysu', by the rows of its lookup table.
        config: Name of the config.
        left_out: Keys of the published weights that ours have no use for.
    """

    state: Weights
    family: Family
    dataset: str
    config: str
    left_out: list[str]


def recognise(state: Mapping[str, Tensor]) -> list[Family]:
    """The families whose published checkpoints have these weights.

    Args:
        state: Weights, with the keys of the official code.

    Returns:
        Families; several where their files are alike, none for others.
    """
    return [f for f in FAMILIES.values() if _fits(state, f)]


def convert(
    state: Mapping[str, Tensor],
    family: str | None = None,
    dataset: str | None = None,
) -> Imported:
    """Convert published weights.

    Args:
        state: Weights, with the keys of the official code.
        family: Name of one of :data:`FAMILIES`. Defaults to None, the first
            that fits.
        dataset: 'prw' or 'cuhk-sysu', for a check. Defaults to None, by the
            rows of the lookup table.

    Returns:
        The weights and what they are.

    Raises:
        UsageError: They are of no family or not of this one, or the table
            has the rows of another data set.
    """
    chosen = _family(state, family)
    rows = len(state[chosen.table])
    found = next((name for name in ROWS if rows in ROWS[name]), None)
    if found is None or dataset not in (None, found):
        wanted = ROWS if dataset is None else {dataset: ROWS[dataset]}
        raise UsageError(
            f'{chosen.table} has {rows} rows'
            + (f', those of {found}' if found else '')
            + '; expected '
            + ' or '.join(
                f'{" or ".join(map(str, sizes))} for {name}'
                for name, sizes in wanted.items()
            )
        )
    converted, left_out = apply_rules(state, chosen.rules)
    return Imported(converted, chosen, found, chosen.configs[found], left_out)


def _family(state: Mapping[str, Tensor], name: str | None) -> Family:
    if name is not None:
        family = FAMILIES[name]
        if not _fits(state, family):
            raise UsageError(f'not {_faults_text(state, family)}')
        return family
    if fitting := recognise(state):
        return fitting[0]
    text = f'no published checkpoint that is known ({", ".join(FAMILIES)})'
    nearest = min(
        FAMILIES.values(), key=lambda one: sum(map(len, one.faults(state)))
    )
    if len(nearest.faults(state)[0]) < len(nearest.rules) / 2:
        text += f'; the nearest is {_faults_text(state, nearest)}'
    raise UsageError(text)


def _fits(state: Mapping[str, Tensor], family: Family) -> bool:
    return family.faults(state) == ([], []) and family.is_version(state)


def _faults_text(state: Mapping[str, Tensor], family: Family) -> str:
    """What keeps weights from being of a family."""
    missing, unknown = family.faults(state)
    parts = [
        f'{what} {len(keys)} (first: {", ".join(keys[:3])})'
        for what, keys in (
            ('groups of weights that are missing:', missing),
            ('weights that are not of it:', unknown),
        )
        if keys
    ]
    return f'{family.title}: ' + ('; '.join(parts) or 'another version of it')
