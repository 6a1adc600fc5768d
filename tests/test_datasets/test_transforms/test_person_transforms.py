"""Tests of our transforms: annotations, crop, gain, downscale, packing."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes

from mmps.datasets import PRWDataset
from mmps.datasets.transforms import (
    ChannelGain,
    ClipQueryBoxes,
    Downscale,
    FilterPersonAnnotations,
    KeepPersonIds,
    LoadPersonAnnotations,
    PackPersonSearchInputs,
    PersonRandomCrop,
)

IDS = [3, -1, 0, 7, 5]


def test_load_annotations_from_both_forms() -> None:
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    arrays = dict(gt_bboxes=boxes, person_ids=np.array([4, -1]))
    for frame in (dict(arrays), dict(person_annotations=dict(arrays))):
        results = LoadPersonAnnotations()(frame)
        assert isinstance(results['gt_bboxes'], HorizontalBoxes)
        assert results['gt_bboxes'].tensor.tolist() == boxes.tolist()
        assert results['gt_instances_ids'].tolist() == [4, -1]
        assert results['gt_bboxes_labels'].tolist() == [0, 0]
        assert results['gt_ignore_flags'].tolist() == [False, False]
        assert 'person_ids' not in results
        results['gt_bboxes'].translate_([1, 1])
    assert boxes[0, 0] == 1  # the data set's own array is not changed
    with pytest.raises(KeyError, match='person_ids'):
        LoadPersonAnnotations()(results)


def test_load_no_annotations() -> None:
    empty = dict(gt_bboxes=np.zeros((0, 4)), person_ids=np.zeros(0, int))
    results = LoadPersonAnnotations()(empty)
    assert results['gt_bboxes'].tensor.shape == (0, 4)
    assert FilterPersonAnnotations(keep_empty=False)(results) is results


@pytest.mark.parametrize(
    ('min_size', 'kept'),
    [((1, 1), [0, 1, 2]), ((9, 9), [0, 2]), ((19, 9), [2]), ((50, 5), [])],
)
def test_filter(min_size: tuple, kept: list[int]) -> None:
    boxes = [[0, 0, 10, 20], [0, 0, 9, 20], [5, 5, 35, 25]]
    frame = dict(gt_bboxes=np.array(boxes), person_ids=np.array([4, 5, 6]))
    results = LoadPersonAnnotations()(frame)
    results = FilterPersonAnnotations(min_size)(results)
    assert results['gt_instances_ids'].tolist() == [4 + i for i in kept]
    assert results['gt_bboxes'].tensor.tolist() == [boxes[i] for i in kept]
    assert len(results['gt_bboxes_labels']) == len(kept)
    assert len(results['gt_ignore_flags']) == len(kept)


def test_filter_drops_an_emptied_frame_on_request() -> None:
    frame = dict(gt_bboxes=np.array([[0, 0, 5, 5]]), person_ids=np.array([4]))
    results = LoadPersonAnnotations()(frame)
    drop = FilterPersonAnnotations(min_size=(9, 9), keep_empty=False)
    assert drop(results) is None


@pytest.mark.parametrize('min_visible', [0.0, 0.3, 0.8, 1.0])
def test_crop_against_a_loop(
    min_visible: float, make_frame: Callable, assert_in_step: Callable
) -> None:
    size = (150, 200)
    crop = PersonRandomCrop(size[::-1], min_visible, allow_negative_crop=True)
    dropped = 0
    for seed in range(20):
        frame = make_frame(IDS, seed)
        before = frame['gt_bboxes'].tensor.numpy().copy()
        np.random.seed(seed)
        results = crop(frame)
        assert_in_step(results)
        x, y = -results['homography_matrix'][:2, 2]
        expected = []
        for box, person in zip(before.tolist(), IDS):
            x1, x2 = max(box[0] - x, 0), min(box[2] - x, size[1])
            y1, y2 = max(box[1] - y, 0), min(box[3] - y, size[0])
            if x2 <= x1 or y2 <= y1:
                continue
            area = (box[2] - box[0]) * (box[3] - box[1])
            if (x2 - x1) * (y2 - y1) / area >= min_visible - 1e-4:
                expected.append((person, [x1, y1, x2, y2]))
        assert results['gt_instances_ids'].tolist() == [
            person for person, _ in expected
        ]
        np.testing.assert_allclose(
            results['gt_bboxes'].tensor,
            np.array([box for _, box in expected]).reshape(-1, 4),
            atol=1e-3,
        )
        dropped += len(IDS) - len(expected)
    assert dropped > 0


def test_crop_without_people_is_dropped(make_frame: Callable) -> None:
    frame = make_frame([1])
    frame['gt_bboxes'].tensor[:] = torch.tensor([0.0, 0, 400, 300])
    # A 40 x 30 crop shows a hundredth of the only person.
    crop = PersonRandomCrop((40, 30), min_visible=0.5)
    assert crop(frame) is None


def test_crop_checks_its_option() -> None:
    with pytest.raises(ValueError, match='min_visible is 2'):
        PersonRandomCrop((40, 30), min_visible=2)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_channel_gain(dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(dtype)
    gain = ChannelGain(0.5, 1.5, brightness=20)
    np.random.seed(4)
    first = gain(dict(img=image.copy()))['img']
    np.random.seed(4)
    second = gain(dict(img=image.copy()))['img']
    third = gain(dict(img=image.copy()))['img']
    assert first.dtype == dtype
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()
    # The same numbers, applied pixel by pixel.
    np.random.seed(4)
    np.random.random()
    factors = np.random.uniform(0.5, 1.5, 3)
    shift = np.random.uniform(-20, 20)
    for y, x, c in np.ndindex(*image.shape):
        value = min(max(float(image[y, x, c]) * factors[c] + shift, 0), 255)
        assert abs(float(first[y, x, c]) - value) <= 0.501
    assert len(set(factors)) == 3


def test_channel_gain_can_do_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 255, (5, 5, 3), np.uint8)
    for gain in (ChannelGain(1, 1, brightness=0), ChannelGain(prob=0)):
        np.testing.assert_array_equal(gain(dict(img=image))['img'], image)


@pytest.mark.parametrize(
    'options',
    [
        dict(low=0),
        dict(low=1.2, high=1.1),
        dict(brightness=-1),
        dict(prob=1.5),
    ],
)
def test_channel_gain_checks_its_options(options: dict) -> None:
    with pytest.raises(ValueError, match='ChannelGain'):
        ChannelGain(**options)


def test_packed_training_frame(
    write_prw: Callable, load_pipeline: list[dict]
) -> None:
    dataset = PRWDataset(write_prw(), pipeline=load_pipeline)
    packed = dataset[0]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 100, 120)
    assert packed['inputs'].dtype == torch.uint8
    people = sample.gt_instances
    assert people.person_ids.tolist() == [1, -1]
    assert people.person_ids.dtype == torch.int64
    assert people.labels.tolist() == [0, 0]
    assert sample.raw_person_ids.tolist() == [7, -1]
    assert sample.frame_name == 'c1s1_000001.jpg'
    assert (sample.camera_id, sample.img_id) == (1, 0)
    assert 'query_instances' not in sample


def test_packed_test_frame_keeps_original_pixels(
    write_prw: Callable, load_pipeline: list[dict]
) -> None:
    load_pipeline.insert(
        1, dict(type='mmdet.Resize', scale=(240, 200), keep_ratio=True)
    )
    dataset = PRWDataset(write_prw(), split='test', pipeline=load_pipeline)
    packed = dataset[1]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 200, 240)
    assert sample.scale_factor == (2.0, 2.0)
    assert sample.ori_shape == (100, 120)
    assert sample.gt_instances.bboxes.tensor[0].tolist() == [-2.5, 5, 17.5, 55]
    assert sample.query_instances.bboxes.tolist() == [
        [-2.5, 5, 17.5, 55],
        [60, 20, 85, 90],
    ]
    assert sample.query_instances.query_indices.tolist() == [0, 2]
    assert sample.raw_person_ids.tolist() == [12, 11]
    # A frame without queries has the field, with nothing in it.
    empty = dataset[3]['data_samples']
    assert empty.query_instances.bboxes.shape == (0, 4)
    assert empty.gt_instances.person_ids.shape == (0,)
    assert empty.raw_person_ids.shape == (0,)


def test_flip_keeps_raw_ids_in_step(
    write_prw: Callable, load_pipeline: list[dict]
) -> None:
    load_pipeline[2:2] = [
        dict(type='mmdet.RandomFlip', prob=1.0),
        dict(type='mmps.FilterPersonAnnotations', min_size=(25, 1)),
    ]
    sample = PRWDataset(write_prw(), pipeline=load_pipeline)[0]['data_samples']
    assert sample.flip
    assert sample.raw_person_ids.tolist() == [7]
    assert sample.gt_instances.bboxes.tensor.tolist() == [
        [79.5, 20.25, 109.5, 80.25]
    ]


@pytest.mark.parametrize(
    'damage',
    [
        lambda r: r.update(gt_instances_ids=r['gt_instances_ids'][:2]),
        lambda r: r.update(gt_bboxes=r['gt_bboxes'][:1]),
        lambda r: r.pop('gt_instances_ids'),
    ],
)
def test_packing_refuses_different_lengths(
    make_frame: Callable, damage: Callable
) -> None:
    frame = make_frame([1, 2, 3])
    damage(frame)
    with pytest.raises(ValueError, match='one person id per box'):
        PackPersonSearchInputs()(frame)


@pytest.mark.parametrize('size', [(60, 90), (61, 89)])
def test_downscale_loses_detail_and_keeps_the_rest(size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
    boxes = np.array([[1.0, 2, 30, 50]])
    out = Downscale(3)(dict(img=image.copy(), gt_bboxes=boxes))
    assert out['img'].shape == image.shape
    assert out['img'].dtype == np.uint8
    assert out['gt_bboxes'] is boxes
    # The mean stays, most of the noise goes.
    assert out['img'].mean() == pytest.approx(image.mean(), abs=2)
    assert out['img'].std() < 0.5 * image.std()
    # Blocks of one colour survive as they are.
    flat = np.full((60, 90, 3), 77, np.uint8)
    assert np.array_equal(Downscale(3)(dict(img=flat))['img'], flat)


def test_downscale_of_whole_factors_averages_blocks():
    image = np.arange(36 * 3, dtype=np.float32).reshape(6, 6, 3)
    out = Downscale(6)(dict(img=image))['img']
    want = np.broadcast_to(image.mean((0, 1)), image.shape)
    np.testing.assert_allclose(out, want, rtol=1e-5)


@pytest.mark.parametrize('factor', [1, 0, -2])
def test_downscale_factor_out_of_range(factor):
    with pytest.raises(ValueError, match='Downscale: factor is'):
        Downscale(factor)


@pytest.mark.parametrize('last_pixel', [False, True])
def test_queries_are_cut_at_the_frame(last_pixel):
    boxes = np.array([[-3, 4, 30.5, 99], [2, -1, 50, 40]], np.float32)
    frame = dict(ori_shape=(40, 50), query_bboxes=boxes.copy())
    got = ClipQueryBoxes(last_pixel).transform(frame)['query_bboxes']
    inside = 1 if last_pixel else 0
    want = [[0, 4, 30.5, 40 - inside], [2, 0, 50 - inside, 40 - inside]]
    assert got.tolist() == want
    assert got.dtype == np.float32
    assert ClipQueryBoxes().transform({}) == {}


def test_wrapper_names_what_it_wraps():
    wrapper = KeepPersonIds(dict(type='mmdet.RandomShift', max_shift_px=3))
    assert repr(wrapper).startswith('KeepPersonIds(transform=RandomShift(')
