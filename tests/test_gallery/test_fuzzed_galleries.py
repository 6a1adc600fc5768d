"""Galleries with damage at random; see fuzzing."""

import pytest

pytestmark = pytest.mark.slow


def test_damaged_galleries(fuzz):
    fuzz('gallery', 100)
