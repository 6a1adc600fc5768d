"""Property tests of frames behind random pipelines."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmps.datasets.pipeline_check import check_pipeline
from mmps.datasets.transforms import PackPersonSearchInputs
from mmps.registry import TRANSFORMS

OPTIONS = dict(
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def keep_ids(**transform: object) -> dict:
    return dict(type='mmps.KeepPersonIds', transform=transform)


sizes = st.tuples(st.integers(150, 600), st.integers(120, 450))
crops = st.tuples(st.integers(60, 500), st.integers(60, 400))
# Colours stay what they are, so that they tell who is in a box.
GEOMETRIC = st.one_of(
    st.builds(
        lambda scale, keep: dict(
            type='mmdet.Resize', scale=scale, keep_ratio=keep
        ),
        sizes,
        st.booleans(),
    ),
    st.builds(
        lambda way: dict(type='mmdet.RandomFlip', prob=1.0, direction=way),
        st.sampled_from(['horizontal', 'vertical', 'diagonal']),
    ),
    st.builds(
        lambda size, visible: dict(
            type='mmps.PersonRandomCrop',
            crop_size=size,
            min_visible=visible,
            allow_negative_crop=True,
        ),
        crops,
        st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    ),
    st.builds(
        lambda size: dict(type='mmps.FilterPersonAnnotations', min_size=size),
        st.sampled_from([(1, 1), (20, 60), (90, 10)]),
    ),
    st.builds(
        lambda kind, size, visible: dict(
            type=kind, crop_size=size, min_visible=visible
        ),
        st.sampled_from(['mmps.FocusedCrop', 'mmps.SafeCrop']),
        crops,
        st.sampled_from([0.0, 0.6, 1.0]),
    ),
    st.builds(lambda size: dict(type='mmps.PadAround', size=size), sizes),
    st.just(dict(type='mmdet.Pad', size_divisor=32)),
    st.just(keep_ids(type='mmdet.RandomShift', prob=1.0, max_shift_px=80)),
    st.just(keep_ids(type='mmdet.MinIoURandomCrop', min_crop_size=0.3)),
)
PHOTOMETRIC = st.one_of(
    st.just(dict(type='mmps.ChannelGain')),
    st.builds(
        lambda factor: dict(type='mmps.Downscale', factor=factor),
        st.floats(1.5, 5),
    ),
    st.just(dict(type='mmdet.PhotoMetricDistortion')),
)
people = st.lists(st.integers(-1, 9), max_size=6, unique=True)


def run(frame: dict, pipeline: list[dict], seed: int) -> dict | None:
    np.random.seed(seed)
    for config in pipeline:
        frame = TRANSFORMS.build(config)(frame)
        if frame is None:
            return None
    return frame


def order_kept(ids: list[int], before: list[int]) -> bool:
    """Whether some were left out, and nothing else happened."""
    rest = iter(before)
    return all(person in rest for person in ids)


@given(
    ids=people,
    pipeline=st.lists(GEOMETRIC, max_size=5),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=120, **OPTIONS)
def test_people_stay_with_their_boxes(
    make_frame: Callable,
    assert_in_step: Callable,
    ids: list[int],
    pipeline: list[dict],
    seed: int,
) -> None:
    check_pipeline(pipeline)
    frame = make_frame(ids, seed)
    queries = np.array([[3.5, 4, 50, 60]], np.float32)
    frame.update(query_bboxes=queries.copy(), query_indices=np.array([8]))
    results = run(frame, pipeline, seed)
    if results is None:
        return
    # Edges are smoothed by resizing; a person's level is 16 from the next.
    assert_in_step(results)
    found = results['gt_instances_ids'].tolist()
    assert order_kept(found, ids)
    boxes = results['gt_bboxes'].tensor.numpy()
    height, width = results['img'].shape[:2]
    assert results['img_shape'] == (height, width)
    assert np.isfinite(boxes).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= -1e-3).all()
    assert (boxes <= np.array([width, height] * 2) + 1e-3).all()

    sample = PackPersonSearchInputs()(results)['data_samples']
    assert sample.gt_instances.person_ids.tolist() == found
    table = [*range(100, 120), -1]
    assert sample.raw_person_ids.tolist() == [table[i] for i in found]
    # A query is asked for in pixels of the stored picture.
    np.testing.assert_array_equal(sample.query_instances.bboxes, queries)
    assert sample.query_instances.query_indices.tolist() == [8]


@given(
    ids=people,
    pipeline=st.lists(PHOTOMETRIC, min_size=1, max_size=4),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, **OPTIONS)
def test_colours_move_nobody(
    make_frame: Callable, ids: list[int], pipeline: list[dict], seed: int
) -> None:
    frame, before = make_frame(ids, seed), make_frame(ids, seed)
    results = run(frame, pipeline, seed)
    for key in ('gt_instances_ids', 'gt_bboxes_labels', 'gt_ignore_flags'):
        np.testing.assert_array_equal(results[key], before[key])
    np.testing.assert_array_equal(
        results['gt_bboxes'].tensor, before['gt_bboxes'].tensor
    )
    assert results['img'].shape == before['img'].shape


@pytest.mark.parametrize('way', ['horizontal', 'vertical', 'diagonal'])
@given(ids=people, seed=st.integers(0, 2**16))
@settings(max_examples=15, **OPTIONS)
def test_flipping_twice_is_nothing(
    make_frame: Callable, way: str, ids: list[int], seed: int
) -> None:
    flip = dict(type='mmdet.RandomFlip', prob=1.0, direction=way)
    before = make_frame(ids, seed)
    once = run(make_frame(ids, seed), [flip], seed)
    # Flipped together with the colours that show who it is.
    if len(ids) > 1:
        assert not np.array_equal(once['img'], before['img'])
    twice = run(once, [flip], seed)
    np.testing.assert_array_equal(twice['img'], before['img'])
    np.testing.assert_array_equal(
        twice['gt_bboxes'].tensor, before['gt_bboxes'].tensor
    )
    assert twice['gt_instances_ids'].tolist() == ids


@given(
    ids=people,
    seed=st.integers(0, 2**16),
    size=crops,
    visible=st.floats(0, 1),
)
@settings(max_examples=40, **OPTIONS)
def test_a_stricter_crop_keeps_some_of_the_same(
    make_frame: Callable,
    ids: list[int],
    seed: int,
    size: tuple[int, int],
    visible: float,
) -> None:
    def crop(share: float) -> dict:
        config = dict(
            type='mmps.PersonRandomCrop',
            crop_size=size,
            min_visible=share,
            allow_negative_crop=True,
        )
        return run(make_frame(ids, seed), [config], seed)

    loose, strict = crop(visible / 2), crop(visible)
    np.testing.assert_array_equal(loose['img'], strict['img'])
    kept = strict['gt_instances_ids'].tolist()
    assert order_kept(kept, loose['gt_instances_ids'].tolist())
