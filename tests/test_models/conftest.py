"""Settings shared by the tests of models."""

from collections.abc import Iterator

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def mmdet_scope() -> Iterator[None]:
    """mmdet's plain names, as under `default_scope='mmdet'` in a config."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield
