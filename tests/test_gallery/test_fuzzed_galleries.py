"""Tests of galleries with randomly damaged files."""

import pytest

pytestmark = pytest.mark.slow


def test_damaged_galleries(fuzz):
    fuzz('gallery', 100)
