"""Tests of frames: boxes, occlusion, cameras, and dependence on settings."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmps.scenes import (
    SceneRenderer,
    ScenesConfig,
    make_scenes,
    plan_frames,
)
from mmps.scenes.figure import draw_figure
from mmps.scenes.people import HAND_THINGS, sample_person
from mmps.scenes.pose import Pose
from mmps.scenes.wardrobe import Wardrobe


@pytest.fixture(scope='module')
def rendered():
    """120 test frames of the default settings, smaller."""
    config = ScenesConfig(size=(192, 108), train_frames=100, train_ids=20)
    renderer = SceneRenderer(config)
    return config, [renderer.render(p) for p in plan_frames(config)[100:220]]


def test_boxes_follow_prw(rendered):
    config, frames = rendered
    boxes = np.concatenate([frame.boxes for frame in frames])
    height = boxes[:, 3] / config.size[1] * 1080
    # PRW's training split, 5, 50 and 95 %.
    wanted = np.array([93, 257, 490])
    assert np.percentile(height, [5, 50, 95]) == pytest.approx(wanted, rel=0.2)
    ratio = np.percentile(boxes[:, 3] / boxes[:, 2], [5, 25, 50, 75, 95])
    wanted = np.array([1.90, 2.38, 2.76, 3.06, 3.51])
    assert ratio == pytest.approx(wanted, rel=0.15)
    assert 3.2 <= len(boxes) / len(frames) <= 4.0


def test_heights_bound_the_boxes():
    config = ScenesConfig(
        size=(192, 108), train_frames=100, train_ids=20, occlusion_rate=0.0,
        heights=(0.2, 0.42),
    )  # fmt: skip
    renderer = SceneRenderer(config)
    frames = [renderer.render(p) for p in plan_frames(config)[:60]]
    height = np.concatenate([frame.boxes[:, 3] for frame in frames]) / 108
    bottom = np.concatenate([f.boxes[:, 1] + f.boxes[:, 3] for f in frames])
    whole = bottom < 106
    # Whoever stands in the frame; statures differ by a tenth.
    assert height[whole].min() == pytest.approx(0.2, rel=0.15)
    assert height[whole].max() == pytest.approx(0.42, rel=0.15)


def test_boxes_stay_at_the_frame(rendered):
    config, frames = rendered
    boxes = np.concatenate([frame.boxes for frame in frames])
    slack = 0.003 * config.size[0] + 0.01
    assert (boxes[:, 2:] > 0).all()
    assert (boxes[:, :2] >= -slack).all()
    end = boxes[:, :2] + boxes[:, 2:]
    assert (end <= np.array(config.size) + slack).all()


def test_frames_are_well_formed(rendered):
    config, frames = rendered
    for frame in frames:
        assert frame.image.shape == (108, 192, 3)
        assert frame.image.dtype == np.uint8
        assert 1 <= len(frame.boxes) == len(frame.person_ids)
        labelled = frame.person_ids[frame.person_ids != -2]
        assert len(set(labelled.tolist())) == len(labelled)
        # Test ids come after the 20 of training.
        assert ((labelled > 20) & (labelled <= 60)).all()
        assert ((frame.hidden >= 0) & (frame.hidden <= 1)).all()


@pytest.mark.parametrize(
    ('rate', 'low', 'high'), [(0.0, 0.0, 0.1), (0.6, 0.36, 0.66)]
)
def test_occlusion_rate(rate, low, high):
    config = ScenesConfig(
        size=(128, 72), train_frames=50, train_ids=20, occlusion_rate=rate
    )
    renderer = SceneRenderer(config)
    frames = [renderer.render(p) for p in plan_frames(config)[50:110]]
    hidden = np.concatenate([frame.hidden for frame in frames])
    assert low <= np.mean(hidden > 0.1) <= high


def test_default_occlusion_rate(rendered):
    config, frames = rendered
    hidden = np.concatenate([frame.hidden for frame in frames])
    assert np.mean(hidden > 0.1) == pytest.approx(0.3, abs=0.1)


def test_a_person_is_seen_in_the_box(rendered):
    """Without people the same camera shows something else there."""
    config, frames = rendered
    renderer = SceneRenderer(config)
    plans = plan_frames(config)[100:120]
    for plan, frame in zip(plans, frames[:20]):
        empty = renderer.place(plan.camera).background
        for (x, y, w, h), hidden in zip(frame.boxes, frame.hidden):
            if hidden > 0.05:
                continue
            core = np.s_[
                round(y + 0.3 * h) : round(y + 0.5 * h),
                round(x + 0.4 * w) : round(x + 0.6 * w) + 1,
            ]
            change = cv2.absdiff(frame.image[core], empty[core])
            assert change.max() > 15


def test_a_frame_depends_on_its_plan_only():
    config = ScenesConfig(size=(128, 72))
    plans = plan_frames(config)
    first, second = SceneRenderer(config), SceneRenderer(config)
    for plan in plans[:6]:
        first.render(plan)
    one, other = first.render(plans[7]), second.render(plans[7])
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.boxes, other.boxes)


def test_seed_and_colour_shift_change_pictures():
    images = []
    for change in ({}, {'seed': 1}, {'colour_shift': 0.0}):
        config = ScenesConfig(size=(128, 72), **change)
        plan = plan_frames(config)[0]
        images.append(SceneRenderer(config).render(plan).image)
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_without_colour_shift_cameras_agree_on_colours():
    config = ScenesConfig(colour_shift=0.0)
    renderer = SceneRenderer(config)
    palette = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    for number in range(1, 7):
        image = palette.astype(np.uint8)
        renderer.place(number).record(image)
        np.testing.assert_allclose(image, palette, atol=1)


def test_opencv_threads_are_left_alone(tmp_path):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        config = ScenesConfig(
            size=(96, 64), train_frames=2, test_frames=8, train_ids=1,
            test_ids=2,
        )  # fmt: skip
        make_scenes(tmp_path / 'a', config, workers=1)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize('thing', [*HAND_THINGS, 'satchel'])
def test_things_add_to_the_picture_not_to_the_body(thing):
    person = replace(
        sample_person(ScenesConfig(), 'train', 0), things=(), hand=-1
    )
    pose = Pose(yaw=0.6, phase=0.3, swing=0.3, habit='walk', pitch=0.2)
    bare = draw_figure(Wardrobe(person, 128), pose)
    owner = replace(person, things=(thing,))
    full = draw_figure(Wardrobe(owner, 128), pose)
    assert (full.image[..., 3] > 127).sum() > (bare.body > 127).sum() + 40
    assert (full.body > 127).sum() < 1.2 * (bare.body > 127).sum()


def test_front_and_back_differ():
    person = sample_person(ScenesConfig(), 'train', 0)
    wardrobe = Wardrobe(person, 128)
    views = [
        draw_figure(wardrobe, Pose(yaw, 0.0, 0.05, 'stand', 0.1)).image
        for yaw in (0.0, np.pi)
    ]
    rows = min(view.shape[0] for view in views)
    columns = min(view.shape[1] for view in views)
    front, back = (view[:rows, :columns, :3].astype(int) for view in views)
    assert np.abs(front - back).mean() > 2
