"""Galleries of any size, drawn from a test set that has none."""

import numpy as np

from mmps.structures import GallerySet, SearchGroundTruth, splits_from_counts


def sample_gallery(
    truth: SearchGroundTruth,
    size: int,
    max_positives: int | None = None,
    seed: int = 0,
) -> GallerySet:
    """Draw a gallery for every query, in the manner of CUHK-SYSU.

    Frames with the person come first, then frames without; the query's own
    frame is not among them. With the same seed a larger gallery holds the
    smaller one.

    >>> from mmps.evaluation.functional import sample_gallery
    >>> from mmps.testing import random_ground_truth
    >>> truth = random_ground_truth(num_queries=10)
    >>> truth.galleries['20'] = sample_gallery(truth, size=20)
    >>> len(truth.galleries['20'].frames)
    200

    Args:
        truth: Ground truth. Of a person twice in a frame the first box
            counts.
        size: Frames per query, fewer where the data set has no more.
        max_positives: At most so many frames with the person; None for no
            limit but the size.
        seed: Of the random numbers.

    Returns:
        The gallery, to be put into ``truth.galleries``.

    Raises:
        ValueError: The size is not positive.
    """
    if size < 1:
        raise ValueError(f'gallery size: expected 1 or more, got {size}')
    box_frames = truth.box_frames
    by_person = np.argsort(truth.person_ids, kind='stable')
    sorted_person_ids = truth.person_ids[by_person]
    most = size if max_positives is None else min(size, max_positives)
    frames, boxes = [], []
    for query, person in enumerate(truth.query_person_ids):
        rng = np.random.default_rng([seed, query])
        own = truth.query_frames[query]
        start, stop = np.searchsorted(sorted_person_ids, [person, person + 1])
        mine = by_person[start:stop]
        mine = mine[box_frames[mine] != own]
        mine = mine[np.unique(box_frames[mine], return_index=True)[1]]
        shown = rng.permutation(mine)[:most]
        free = np.ones(truth.num_frames, dtype=bool)
        free[box_frames[mine]] = False
        free[own] = False
        rest = rng.permutation(np.flatnonzero(free))[: size - len(shown)]
        frames.append(np.concatenate([box_frames[shown], rest]))
        boxes.append(np.full((len(frames[-1]), 4), np.nan, np.float32))
        boxes[-1][: len(shown)] = truth.bboxes[shown]
    return GallerySet(
        splits=splits_from_counts([len(part) for part in frames]),
        frames=np.concatenate([np.empty(0, int), *frames]).astype(np.int32),
        bboxes=np.concatenate([np.empty((0, 4), np.float32), *boxes]),
    )
