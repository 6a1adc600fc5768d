"""Painted frames of three cameras on disk, and a model that knows them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmps.testing.painted import PaintedPeopleModel, paint_frame


@pytest.fixture
def model() -> PaintedPeopleModel:
    return PaintedPeopleModel()


@pytest.fixture(scope='session')
def frames(tmp_path_factory) -> Path:
    """cam0 to cam2 with 4 pictures of 3 people each: 36 people."""
    folder = tmp_path_factory.mktemp('frames')
    rng = np.random.default_rng(0)
    for camera in range(3):
        (folder / f'cam{camera}').mkdir()
        for number in range(4):
            people = [
                (int(person), 110 + 200 * place, int(rng.integers(120, 170)))
                for place, person in enumerate(rng.permutation(6)[:3])
            ]
            image, _ = paint_frame(people, camera)
            path = folder / f'cam{camera}' / f'{number}.png'
            cv2.imwrite(str(path), image)
    return folder


@pytest.fixture(scope='session')
def video(tmp_path_factory) -> Path:
    """20 frames at 10 per second: one person walks, one stands."""
    path = tmp_path_factory.mktemp('video') / 'walk.avi'
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (640, 360)
    )
    for number in range(20):
        people = [(0, 60 + 20 * number, 150), (3, 560, 140)]
        writer.write(paint_frame(people)[0])
    writer.release()
    return path
