"""Changes of weights that rules of several families need."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .rules import Weights

_NORM = ('weight', 'bias', 'running_mean', 'running_var')
_NEVER = torch.tensor(0)


def person_first(group: Weights) -> Weights:
    """Rows (background, person) of a classifier as (person, background)."""
    return {rest: value.flip(0) for rest, value in group.items()}


def person_deltas(group: Weights) -> Weights:
    """The person's deltas of a box regression with a row for every class.

    Published are rows dx, dy, dw, dh of background, where it has some, and
    then of the person, one linear layer (``weight``, ``bias``) or with a
    batch norm behind it (``0.*``, ``1.*``). Ours has the vertical and the
    horizontal ones apart.
    """
    linear = '' if 'weight' in group else '0.'
    new = {}
    for name in ('weight', 'bias'):
        person = group[linear + name][-4:]
        new[f'fc_horizontal.{name}'] = person[0::2]
        new[f'fc_vertical.{name}'] = person[1::2]
    if linear:
        norm = _without_wrapper(group, '1.')
        new.update({f'reg_norm.{name}': norm[name][-4:] for name in _NORM})
        new['reg_norm.num_batches_tracked'] = norm['num_batches_tracked']
    return new


def projection_level(level: int) -> Callable[[Weights], Weights]:
    """A linear layer and a batch norm as one level of LinearProjection.

    Ours has no bias in front of a norm; the norm's mean takes it if the
    published layer has one.

    Args:
        level: Its index.
    """

    def change(group: Weights) -> Weights:
        weight = group['0.weight']
        if weight.dim() == 2:
            weight = weight[:, :, None, None]
        norm = _without_wrapper(group, '1.')
        if '0.bias' in group:
            norm['running_mean'] = norm['running_mean'] - group['0.bias']
        named = {f'norms.{level}.{name}': x for name, x in norm.items()}
        return {f'levels.{level}.weight': weight, **named}

    return change


def _without_wrapper(group: Weights, prefix: str) -> Weights:
    """A batch norm's weights, which some wrap in a module ``bn2d``."""
    return {
        rest.removeprefix(prefix).removeprefix('bn2d.'): value
        for rest, value in group.items()
        if rest.startswith(prefix)
    }


def identity_memory(group: Weights) -> Weights:
    """Lookup table and queues as the buffers of an IdentityMemory.

    ``lut`` and ``cq`` and, of HOIM, ``cqb`` and the scores of both queues.
    Published files have no data set's ids of the rows and no pointers.
    """
    lut = group['lut'].float()
    new = dict(
        **_filled('prototypes', lut),
        **_filled('queue', group['cq']),
        queue_pointer=_NEVER.clone(),
        raw_person_ids=torch.full((len(lut),), -1),
    )
    if 'cqb' in group:
        new.update(
            **_filled('background', group['cqb']),
            background_pointer=_NEVER.clone(),
        )
        for queue, scores in (('queue', 'cq'), ('background', 'cqb')):
            new[f'{queue}_rule.scores'] = group[f'{scores}_omega'].float()
    return new


def lookup_table(group: Weights) -> Weights:
    """``lookup_table`` of AlignPS and PSTR as an IdentityMemory has it."""
    rows = group['lookup_table']
    return dict(
        **_filled('prototypes', rows),
        raw_person_ids=torch.full((len(rows),), -1),
    )


def queue_and_tail(group: Weights) -> Weights:
    """``queue`` and ``tail`` of AlignPS and PSTR, likewise."""
    return dict(
        **_filled('queue', group['queue']), queue_pointer=group['tail']
    )


def _filled(name: str, rows: Tensor) -> Weights:
    rows = rows.float()
    return {name: rows, f'{name}_filled': rows.any(1)}


def stacked(names: Sequence[str], target: str) -> Callable[[Weights], Weights]:
    """Numbers that lie apart, as one vector.

    Args:
        names: Rests of their keys, in order.
        target: Rest of the new key.
    """
    return lambda group: {target: torch.cat([group[n] for n in names])}


def without_eps(eps: float) -> Callable[[Weights], Weights]:
    """A batch norm that is computed without eps, for one that has it.

    Args:
        eps: Of ours.
    """

    def change(group: Weights) -> Weights:
        variance = group['running_var'] - eps
        return {**group, 'running_var': variance}

    return change


def as_numbers(group: Weights) -> Weights:
    """Vectors of one number as tensors without an axis."""
    return {rest: value.squeeze() for rest, value in group.items()}
