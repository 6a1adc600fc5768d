"""Search problems of the size of the field's test sets."""

from dataclasses import replace
from typing import Any

from mmps.evaluation.functional import sample_gallery
from mmps.structures import SearchGroundTruth
from mmps.testing import random_ground_truth

# PRW has 25,062 test boxes and 37.5 positives a query; CUHK-SYSU 40,871 boxes,
# one query of each of 2,900 people, and no cameras.
SIZES = {
    'prw': dict(
        num_frames=6112,
        num_ids=450,
        num_cameras=6,
        num_queries=2057,
        people_per_frame=4.1,
        labelled=0.67,
    ),
    'cuhk-sysu': dict(
        num_frames=6978,
        num_ids=2900,
        num_cameras=1,
        num_queries=2900,
        people_per_frame=5.86,
        labelled=0.205,
    ),
}
GALLERIES = {'prw': (), 'cuhk-sysu': (50, 100, 500, 1000, 2000, 4000)}


def random_protocol(
    name: str, scale: float = 1.0, seed: int = 0
) -> SearchGroundTruth:
    """Draw a test set as large as PRW's or CUHK-SYSU's.

    Args:
        name: 'prw' or 'cuhk-sysu'; the latter has all galleries, and 'all'.
        scale: Frames, people, queries and galleries as a share of the data
            set's. Defaults to 1.0.
        seed: Of the random numbers. Defaults to 0.
    """
    size: dict[str, Any] = dict(SIZES[name])
    for key in ('num_frames', 'num_ids', 'num_queries'):
        size[key] = max(2, round(scale * size[key]))
    truth = random_ground_truth(**size, seed=seed)
    for whole in GALLERIES[name]:
        num = max(2, round(scale * whole))
        truth.galleries[str(whole)] = sample_gallery(truth, num, seed=seed)
    if truth.galleries:
        smallest = next(iter(truth.galleries.values()))
        truth.galleries['all'] = replace(smallest, rest_of_frames=True)
    return truth
