"""Painted frames and a video on disk, and a model that knows them."""

from pathlib import Path

import pytest

from painted import PaintedPeopleModel, save_frames, save_video


@pytest.fixture
def model() -> PaintedPeopleModel:
    return PaintedPeopleModel()


@pytest.fixture(scope='session')
def frames(tmp_path_factory) -> Path:
    """36 people in cam0/0.png to cam2/3.png."""
    return save_frames(tmp_path_factory.mktemp('frames'))


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """20 frames at 10 per second, two people."""
    return save_video(tmp_path_factory.mktemp('video') / 'walk.avi')
