"""Checks of person ids that several components share."""

from collections.abc import Sequence

import torch
from torch import Tensor


def check_person_ids(
    owner: str,
    person_ids: Tensor,
    num_samples: int,
    num_ids: int | None = None,
) -> None:
    """Refuse person ids that do not fit the samples.

    The largest id is looked at on the CPU only: elsewhere that would make
    the host wait for the device.

    Args:
        owner: Name of the component, for the message.
        person_ids: (N,) integer ids, negative for unlabelled.
        num_samples: Expected N.
        num_ids: Number of identities L; None skips the upper bound.

    Raises:
        TypeError: The ids are not integers.
        ValueError: Wrong shape, or an id above L - 1.
    """
    if person_ids.is_floating_point() or person_ids.dtype == torch.bool:
        raise TypeError(
            f'{owner}: person_ids must be integers, got {person_ids.dtype}'
        )
    if person_ids.shape != (num_samples,):
        raise ValueError(
            f'{owner}: expected person_ids of shape ({num_samples},), '
            f'got {tuple(person_ids.shape)}'
        )
    if num_ids is None or not num_samples or person_ids.device.type != 'cpu':
        return
    if (largest := int(person_ids.max())) >= num_ids:
        raise ValueError(
            f'{owner}: person id {largest} is outside 0..{num_ids - 1}'
        )


def as_raw_person_ids(owner: str, raw_person_ids: Sequence[int]) -> Tensor:
    """Turn a data set's table of raw ids into a tensor.

    Args:
        owner: Name of the component, for the message.
        raw_person_ids: Distinct ids that are not negative; the index is the
            contiguous id.

    Returns:
        (L,) int64 tensor, L >= 1.

    Raises:
        TypeError: Not a one-dimensional sequence of integers.
        ValueError: No id, a negative or a repeated one.
    """
    try:
        raw = torch.as_tensor(raw_person_ids)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f'{owner}: raw_person_ids must be a sequence of integers ({error})'
        ) from error
    if raw.dim() != 1:
        raise ValueError(
            f'{owner}: raw_person_ids must be one-dimensional, got shape '
            f'{tuple(raw.shape)}'
        )
    if not len(raw):
        raise ValueError(
            f'{owner}: raw_person_ids is empty, the data set has no labelled '
            'person'
        )
    if raw.is_floating_point() or raw.dtype == torch.bool:
        raise TypeError(
            f'{owner}: raw_person_ids must be integers, got {raw.dtype}'
        )
    if int(raw.min()) < 0:
        raise ValueError(
            f'{owner}: raw_person_ids holds {int(raw.min())}; ids of labelled '
            'people are not negative'
        )
    values, counts = raw.unique(return_counts=True)
    if len(values) < len(raw):
        raise ValueError(
            f'{owner}: raw_person_ids holds {int(values[counts > 1][0])} more '
            'than once'
        )
    return raw.long()
