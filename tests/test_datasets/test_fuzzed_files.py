"""Tests of readers of data sets and images with randomly damaged files."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('name', ['prw', 'cuhk', 'lsps', 'coco'])
def test_damaged_data_sets(fuzz, name):
    fuzz(name, 250)


@pytest.mark.filterwarnings('ignore::UserWarning')  # of pillow
def test_damaged_images(fuzz):
    fuzz('images', 250)
