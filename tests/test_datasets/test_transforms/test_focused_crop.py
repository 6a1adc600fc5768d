"""Tests of the crops that keep people whole."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mmps.datasets.transforms import FocusedCrop, PadAround, SafeCrop

IDS = [3, -1, 0, 7]
SIZE = (140, 310)


def place(crop, frame: dict, seed: int) -> np.ndarray:
    np.random.seed(seed)
    return crop._place(
        frame['gt_bboxes'].tensor.numpy(),
        frame['gt_instances_ids'],
        np.array(frame['img'].shape[1::-1]),
    )


@pytest.mark.parametrize('size', [(500, 300), (401, 333), (10, 10)])
def test_canvas_has_the_frame_in_its_middle(
    make_frame: Callable, assert_in_step: Callable, size: tuple[int, int]
) -> None:
    frame, before = make_frame(IDS), make_frame(IDS)
    results = PadAround(size)(frame)
    width, height = max(size[0], 400), max(size[1], 300)
    assert results['img'].shape == (height, width, 3)
    assert results['img_shape'] == (height, width)
    left, above = (width - 400) // 2, (height - 300) // 2
    inside = results['img'][above : above + 300, left : left + 400]
    np.testing.assert_array_equal(inside, before['img'])
    assert results['img'].sum() == before['img'].sum()
    assert_in_step(results)


@pytest.mark.parametrize('kind', [FocusedCrop, SafeCrop])
@pytest.mark.parametrize('min_visible', [0.0, 0.6, 1.0])
def test_against_a_loop(
    kind: type,
    min_visible: float,
    make_frame: Callable,
    assert_in_step: Callable,
) -> None:
    crop = kind(SIZE, min_visible=min_visible)
    dropped = 0
    for seed in range(20):
        frame = make_frame(IDS, seed)
        before = frame['gt_bboxes'].tensor.numpy().copy()
        x1, y1, x2, y2 = place(crop, frame, seed)
        np.random.seed(seed)
        results = crop(frame)
        assert results['img'].shape == (SIZE[1], SIZE[0], 3)
        assert results['img_shape'] == SIZE[::-1]
        assert_in_step(results)
        want = []
        for box, person in zip(before.tolist(), IDS):
            left, right = max(box[0], x1), min(box[2], x2)
            top, bottom = max(box[1], y1), min(box[3], y2)
            area = (box[2] - box[0]) * (box[3] - box[1])
            seen = max(right - left, 0) * max(bottom - top, 0)
            if not seen or seen / area < min_visible - 1e-4:
                continue
            scale = SIZE[0] / (x2 - x1), SIZE[1] / (y2 - y1)
            want.append(
                (
                    person,
                    (left - x1) * scale[0],
                    (top - y1) * scale[1],
                    (right - x1) * scale[0],
                    (bottom - y1) * scale[1],
                )
            )
        assert results['gt_instances_ids'].tolist() == [w[0] for w in want]
        np.testing.assert_allclose(
            results['gt_bboxes'].tensor,
            np.array([w[1:] for w in want]).reshape(-1, 4),
            atol=1e-3,
        )
        dropped += len(IDS) - len(want)
    assert kind is SafeCrop or dropped > 0


def test_focus_is_a_labelled_person_anywhere_in_the_window(
    make_frame: Callable,
) -> None:
    crop = FocusedCrop(SIZE)
    frame = make_frame([-1, 4, -1, -1])
    (box,) = frame['gt_bboxes'].tensor[1:2].numpy()
    places = np.stack([place(crop, frame, seed) for seed in range(300)])
    assert (places[:, :2] <= box[:2]).all()
    assert (places[:, 2:] >= box[2:]).all()
    assert (places[:, 2:] - places[:, :2] == SIZE).all()
    # From the left end of what is possible to the right one.
    possible = max(box[2] - SIZE[0], 0), min(box[0], 400 - SIZE[0])
    assert places[:, 0].min() <= possible[0] + 2
    assert places[:, 0].max() >= possible[1] - 2
    # The frame is less high than the window, and lies in it.
    assert set(places[:, 1]) <= set(range(300 - SIZE[1], 1))
    chosen = {tuple(place(crop, make_frame(IDS), seed)) for seed in range(300)}
    boxes = make_frame(IDS)['gt_bboxes'].tensor.numpy()
    whole = [
        any(
            p[0] <= b[0] and p[2] >= b[2] and (i != 1)
            for i, b in enumerate(boxes)
        )
        for p in chosen
    ]
    assert all(whole)


@pytest.mark.parametrize('ids', [[], [-1, -1]])
def test_without_labelled_people_it_lies_anywhere(
    make_frame: Callable, ids: list[int]
) -> None:
    crop = FocusedCrop((100, 80))
    places = np.stack(
        [place(crop, make_frame(ids), seed) for seed in range(300)]
    )
    assert (places[:, :2] >= 0).all()
    assert (places[:, 2:] <= [400, 300]).all()
    assert places[:, 0].min() < 20
    assert places[:, 2].max() > 380


def test_larger_people_are_made_smaller(
    make_frame: Callable, assert_in_step: Callable
) -> None:
    frame = make_frame([5])
    box = frame['gt_bboxes'].tensor.numpy()[0]
    crop = FocusedCrop((60, 100), min_visible=1.0)
    for seed in range(10):
        x1, y1, x2, y2 = place(crop, frame, seed)
        assert x2 - x1 == y2 - y1 >= box[2] - box[0]
        assert x1 <= box[0]
        assert x2 >= box[2]
        np.random.seed(seed)
        results = crop(make_frame([5]))
        assert results['gt_instances_ids'].tolist() == [5]
        assert_in_step(results)


@pytest.mark.parametrize('erosion', [0.0, 0.1, 0.4])
def test_safe_crop_cuts_off_no_more_than_it_may(
    make_frame: Callable, erosion: float
) -> None:
    crop = SafeCrop(SIZE, erosion)
    places = []
    for seed in range(200):
        frame = make_frame(IDS)
        x1, y1, x2, y2 = place(crop, frame, seed)
        places.append((x1, y1, x2, y2))
        for box in frame['gt_bboxes'].tensor.numpy():
            slack = erosion * (box[2:] - box[:2])
            assert x1 <= box[0] + slack[0]
            assert y1 <= box[1] + slack[1]
            assert x2 >= box[2] - slack[0]
            assert y2 >= box[3] - slack[1]
    assert np.ptp(places, axis=0).min() > 0
    empty = make_frame([])
    assert place(crop, empty, 0).tolist() == [0, 0, 400, 300]
    assert crop(empty)['img'].shape == (SIZE[1], SIZE[0], 3)


def test_people_outside_of_the_frame(make_frame: Callable) -> None:
    frame = make_frame([5])
    frame['gt_bboxes'].tensor[:] = torch.tensor([420.0, 10, 440, 60])
    for crop in (SafeCrop(SIZE), FocusedCrop(SIZE)):
        results = crop(dict(frame, gt_bboxes=frame['gt_bboxes'].clone()))
        assert results['img'].shape == (SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize('kind', [FocusedCrop, SafeCrop])
def test_options_are_checked(kind: type) -> None:
    with pytest.raises(ValueError, match=f'{kind.__name__}: min_visible is 2'):
        kind(SIZE, min_visible=2)
    assert f'{kind.__name__}(crop_size={SIZE}' in repr(kind(SIZE))


@pytest.mark.parametrize('erosion', [-0.1, 0.5])
def test_erosion_is_checked(erosion: float) -> None:
    with pytest.raises(ValueError, match='SafeCrop: erosion is'):
        SafeCrop(SIZE, erosion)
