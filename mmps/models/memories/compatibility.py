"""Comparison of a model's memory with a stored one or with a data set."""

from collections.abc import Mapping

import torch
from torch import Tensor


def person_ids_known(raw_person_ids: Tensor) -> bool:
    """Whether a memory knows the data set's id of its rows."""
    return len(raw_person_ids) > 0 and int(raw_person_ids[0]) >= 0


def compare_person_ids(known: Tensor, raw: Tensor, source: str) -> str | None:
    """Compare two tables of raw person ids; an unknown one fits by its length.

    Args:
        known: (L,) the memory's table.
        raw: (L',) the table to compare.
        source: Where ``raw`` comes from, for the message.

    Returns:
        None if they fit, else a description of the first difference.
    """
    known, raw = known.cpu(), raw.cpu()
    if len(known) != len(raw):
        return (
            f'the memory has {len(known)} identities, the {source} {len(raw)}'
        )
    both_known = person_ids_known(known) and person_ids_known(raw)
    if not both_known or torch.equal(known, raw):
        return None
    row = int((known != raw).nonzero()[0])
    return (
        f'the memory and the {source} number their {len(known)} identities '
        f'differently: person id {row} is {int(known[row])} in the memory '
        f'and {int(raw[row])} in the {source}'
    )


def of_unknown_people(
    own: Mapping[str, Tensor], stored: Mapping[str, Tensor]
) -> bool:
    """Whether no one can say whose a checkpoint's prototypes are.

    As with published checkpoints of other repositories, which do not store
    the ids of their rows: some have a row less than the data set has people.

    Args:
        own: Buffers of the memory, which knows its people.
        stored: Buffers found in the checkpoint.
    """
    known, raw = own['raw_person_ids'], stored['raw_person_ids']
    return (
        person_ids_known(known)
        and not person_ids_known(raw)
        and len(known) != len(raw)
    )


def compare_state(
    own: Mapping[str, Tensor], stored: Mapping[str, Tensor]
) -> list[str]:
    """Compare a memory's buffers with those of a checkpoint.

    Args:
        own: Buffers of the memory by name; no identities means that any
            number fits.
        stored: Buffers found in the checkpoint.

    Returns:
        One description per difference that forbids loading.
    """
    missing = [name for name in own if name not in stored]
    if missing:
        return [f'the checkpoint lacks {", ".join(missing)}']
    faults = []
    dims = own['prototypes'].size(1), stored['prototypes'].size(1)
    if dims[0] != dims[1]:
        faults.append(
            f'the memory has embed_dims={dims[0]}, the checkpoint {dims[1]}'
        )
    for name in ('queue', 'background'):
        slots = [len(table.get(name, ())) for table in (own, stored)]
        if slots[0] != slots[1]:
            faults.append(
                f'the memory has {name}_size={slots[0]}, the checkpoint '
                f'{slots[1]}'
            )
    if len(own['prototypes']) and not of_unknown_people(own, stored):
        fault = compare_person_ids(
            own['raw_person_ids'], stored['raw_person_ids'], 'checkpoint'
        )
        faults.extend([fault] if fault else [])
    return faults
