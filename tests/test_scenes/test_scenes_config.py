"""Tests of settings: defaults, storage, errors that name the option."""

import math

import pytest

from mmps.scenes import ScenesConfig, plan_frames


@pytest.mark.parametrize(
    ('option', 'value', 'error'),
    [
        ('train_frames', 0, ValueError),
        ('train_frames', 2.5, TypeError),
        ('test_ids', True, TypeError),
        ('cameras', 10, ValueError),
        ('seed', -1, ValueError),
        ('occlusion_rate', 0.9, ValueError),
        ('occlusion_rate', math.nan, ValueError),
        ('accessory_rate', 'half', TypeError),
        ('unlabelled_rate', -0.1, ValueError),
        ('colour_shift', 4, ValueError),
        ('people', 0.5, ValueError),
        ('size', (640,), TypeError),
        ('size', [640, 360], TypeError),
        ('size', (640, 20), ValueError),
        ('size', (1000, 100), ValueError),
        ('heights', (0.2,), TypeError),
        ('heights', [0.2, 0.4], TypeError),
        ('heights', (0.2, math.nan), ValueError),
        ('heights', (0.3, 0.2), ValueError),
        ('layout', 'coco', ValueError),
        ('train_cameras', (1, 7), ValueError),
        ('test_cameras', (2, 2), ValueError),
        ('test_cameras', (), TypeError),
        ('train_cameras', 3, TypeError),
    ],
)
def test_bad_option_is_named(option, value, error):
    with pytest.raises(error, match=option):
        ScenesConfig(**{option: value})


def test_cuhk_needs_a_gallery():
    with pytest.raises(ValueError, match='test_frames: layout cuhk'):
        ScenesConfig(layout='cuhk', test_frames=50)


def test_round_trip_keeps_tuples():
    config = ScenesConfig(
        size=(320, 180), heights=(0.1, 0.4), test_cameras=(2, 3), seed=9
    )
    assert ScenesConfig.from_dict(config.to_dict()) == config


def test_unknown_option_is_refused():
    with pytest.raises(ValueError, match='colour_shfit'):
        ScenesConfig.from_dict({'colour_shfit': 1.0})


@pytest.mark.parametrize('split', ['train', 'test'])
def test_too_many_people_for_the_frames(split):
    config = ScenesConfig(**{f'{split}_frames': 10, f'{split}_ids': 90})
    with pytest.raises(ValueError, match=f'{split}_ids: 90 people in 10'):
        plan_frames(config)
