"""Stored predictions with damage at random; see fuzzing."""

import pytest

pytestmark = pytest.mark.slow


def test_damaged_predictions(fuzz):
    fuzz('predictions', 300)
