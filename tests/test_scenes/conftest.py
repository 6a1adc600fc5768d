"""Small trees that several tests read."""

import pytest

from mmps.scenes import ScenesConfig, make_scenes

SMALL = dict(
    train_frames=20,
    test_frames=60,
    train_ids=8,
    test_ids=10,
    cameras=3,
    size=(128, 72),
    seed=5,
)


@pytest.fixture(scope='session')
def prw_tree(tmp_path_factory):
    """A tree in PRW's form."""
    root = tmp_path_factory.mktemp('scenes') / 'prw'
    return make_scenes(root, ScenesConfig(**SMALL), workers=1)


@pytest.fixture(scope='session')
def cuhk_tree(tmp_path_factory):
    """The same people in CUHK-SYSU's form."""
    root = tmp_path_factory.mktemp('scenes') / 'cuhk'
    config = ScenesConfig(**SMALL, layout='cuhk')
    return make_scenes(root, config, workers=1)
