"""Tests of counts and distributions against a loop."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from mmps.datasets import PRWDataset
from mmps.datasets.frame_table import FrameTable
from mmps.datasets.statistics import QUANTILES, describe


def random_table(seed: int) -> FrameTable:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, 40)
    num = counts.sum()
    corner = rng.uniform(-5, 80, (num, 2))
    return FrameTable(
        frame_names=[f'{i}.jpg' for i in range(40)],
        camera_ids=rng.integers(-1, 3, 40),
        frame_splits=np.concatenate([[0], np.cumsum(counts)]),
        bboxes=np.hstack([corner, corner + rng.uniform(1, 50, (num, 2))]),
        raw_person_ids=rng.integers(-1, 9, num),
        box_source=[''] * 40,
        sizes=np.tile([100, 120], (40, 1)),
    )


def test_against_a_loop() -> None:
    table = random_table(0)
    stats = describe(table)
    people, cameras, outside = Counter(), {}, 0
    frames = Counter(table.camera_ids.tolist())
    boxes = Counter()
    for frame in range(40):
        camera = int(table.camera_ids[frame])
        for row in range(
            table.frame_splits[frame], table.frame_splits[frame + 1]
        ):
            x1, y1, x2, y2 = table.bboxes[row]
            outside += x1 < 0 or y1 < 0 or x2 > 120 or y2 > 100
            boxes[camera] += 1
            person = int(table.raw_person_ids[row])
            if person >= 0:
                people[person] += 1
                cameras.setdefault(camera, []).append(person)
    counts = stats.counts
    assert counts['boxes'] == len(table.bboxes)
    assert counts['labelled boxes'] == sum(people.values())
    assert counts['person ids'] == len(people)
    assert counts['boxes that leave the image'] == outside > 0
    assert counts['ids in several cameras'] == sum(
        sum(person in seen for seen in cameras.values()) > 1
        for person in people
    )
    assert stats.cameras.tolist() == [
        [
            camera,
            frames[camera],
            boxes[camera],
            len(cameras.get(camera, [])),
            len(set(cameras.get(camera, []))),
        ]
        for camera in sorted(frames)
    ]
    assert sorted(stats.samples['boxes per id']) == sorted(people.values())
    height = sorted(b[3] - b[1] for b in table.bboxes)
    middle = stats.quantiles()['box height'][QUANTILES.index(0.5)]
    assert np.isclose(middle, np.median(height))


def test_hand_made_tree(write_prw: Callable) -> None:
    root = write_prw()
    test = describe(PRWDataset(root, split='test').load_table())
    assert test.counts['frames'] == 4
    assert test.counts['frames without a box'] == 1
    assert test.counts['frames without a labelled person'] == 1
    assert test.counts['unlabelled boxes'] == 1
    assert test.counts['queries'] == 3
    assert test.counts['ids of queries'] == 2
    assert 'boxes that leave the image' not in test.counts
    assert test.cameras[:, 0].tolist() == [1, 2, 6]


def test_split_without_people(write_prw: Callable) -> None:
    root = write_prw(train={'c1s1_000001': []})
    stats = describe(PRWDataset(root, lazy_init=True).load_table())
    assert stats.counts['boxes'] == 0
    assert stats.counts['person ids'] == 0
    assert np.isnan(stats.quantiles()['box height']).all()
