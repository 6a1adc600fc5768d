"""Plan of who is in which frame of which camera, made before any drawing."""

from dataclasses import dataclass

import numpy as np

from .scenes_config import ScenesConfig

__all__ = ['FramePlan', 'plan_frames', 'raw_person_id']

_BYSTANDERS = 80  # distinct ones per split
_SPLITS = ('train', 'test')


@dataclass(frozen=True)
class FramePlan:
    """What a frame is to show.

    Attributes:
        split: 'train' or 'test'.
        index: Number of the frame within the split, from 0.
        camera: Camera number, from 1.
        name: PRW's file name without suffix.
        people: (group, index) of each person, as ``sample_person`` takes
            them; bystanders are the unlabelled ones.
    """

    split: str
    index: int
    camera: int
    name: str
    people: tuple[tuple[str, int], ...]


def plan_frames(config: ScenesConfig) -> list[FramePlan]:
    """Return the plans of all frames, training frames first.

    Everybody appears about equally often, at least two cameras see each
    person where the split has two, and no frame shows a person twice.

    Args:
        config: The settings.

    Returns:
        list[FramePlan]: ``train_frames + test_frames`` plans.

    Raises:
        ValueError: There are too few frames for each identity to be seen
            several times.
    """
    for split, least in (('train', 2), ('test', 4)):
        _check_enough(config, split, least)
    clock = np.full(config.cameras + 1, 151)
    plans = []
    for split in _SPLITS:
        plans += _plan_split(config, split, clock)
    return plans


def raw_person_id(config: ScenesConfig, group: str, index: int) -> int:
    """Return the person id on disk: test ids follow the training ids."""
    if group == 'bystander':
        return -2
    return 1 + index + (config.train_ids if group == 'test' else 0)


def _check_enough(config: ScenesConfig, split: str, least: int) -> None:
    frames = getattr(config, f'{split}_frames')
    people = getattr(config, f'{split}_ids')
    labelled = config.people * (1 - config.unlabelled_rate)
    if frames * labelled < least * people:
        raise ValueError(
            f'{split}_ids: {people} people in {frames} frames with '
            f'{labelled:.1f} labelled people each are seen fewer than {least} '
            f'times; expected at most {int(frames * labelled / least)}'
        )


def _plan_split(
    config: ScenesConfig, split: str, clock: np.ndarray
) -> list[FramePlan]:
    rng = np.random.default_rng((config.seed, 31, _SPLITS.index(split)))
    frames = getattr(config, f'{split}_frames')
    num_ids = getattr(config, f'{split}_ids')
    cameras = np.array(config.cameras_of(split))
    turns = -(-frames // len(cameras))
    order = np.concatenate([rng.permutation(cameras) for _ in range(turns)])
    visits = _visits(rng, num_ids, len(cameras))
    column = {int(c): i for i, c in enumerate(cameras)}
    seen = np.zeros(num_ids)
    low = _SPLITS.index(split) * _BYSTANDERS
    plans = []
    for index, camera in enumerate(order[:frames].tolist()):
        count = 1 + int(np.clip(rng.poisson(config.people - 1), 0, 13))
        labelled = int((rng.random(count) >= config.unlabelled_rate).sum())
        chance = visits[:, column[camera]] / (1 + seen) ** 3
        unlabelled = count - labelled
        labelled = min(labelled, int((chance > 0).sum()))
        chosen = np.zeros(0, int)
        if labelled:
            chosen = rng.choice(
                num_ids, labelled, replace=False, p=chance / chance.sum()
            )
        seen[chosen] += 1
        others = rng.choice(_BYSTANDERS, unlabelled, replace=False) + low
        people = [(split, int(i)) for i in chosen]
        people += [('bystander', int(i)) for i in others]
        if not people:  # nobody with an id passes this camera
            people = [('bystander', low)]
        clock[camera] += int(rng.integers(1, 6)) * 5
        plans.append(
            FramePlan(
                split,
                index,
                camera,
                f'c{camera}s1_{clock[camera]:06d}',
                tuple(people),
            )
        )
    return plans


def _visits(
    rng: np.random.Generator, num_ids: int, cameras: int
) -> np.ndarray:
    """Return (num_ids, cameras) 0 or 1: which cameras a person passes."""
    visits = np.zeros((num_ids, cameras))
    for person in range(num_ids):
        low = min(2, cameras)
        count = int(rng.integers((low + cameras + 1) // 2, cameras + 1))
        visits[person, rng.permutation(cameras)[: max(low, count)]] = 1
    return visits
