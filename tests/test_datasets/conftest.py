"""Small data sets, and how their frames are loaded."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import small_sets


@pytest.fixture
def write_prw(tmp_path: Path) -> Callable[..., Path]:
    """Writer of a PRW tree."""
    return partial(small_sets.write_prw, tmp_path / 'PRW')


@pytest.fixture
def write_cuhk(tmp_path: Path) -> Callable[..., Path]:
    """Writer of a CUHK-SYSU tree."""
    return partial(small_sets.write_cuhk, tmp_path / 'CUHK-SYSU')


@pytest.fixture
def write_lsps(tmp_path: Path) -> Callable[..., Path]:
    """Writer of an LSPS tree."""
    return partial(small_sets.write_lsps, tmp_path / 'LSPS')


@pytest.fixture(scope='session')
def write_subset() -> Callable[..., None]:
    """Writer of a further CUHK-SYSU protocol file."""
    return small_sets.write_protocol


@pytest.fixture
def load_pipeline() -> list[dict]:
    """Loads and packs a frame without changing it."""
    return [
        dict(type='mmps.LoadFrame'),
        dict(type='mmps.LoadPersonAnnotations'),
        dict(type='mmps.PackPersonSearchInputs'),
    ]
