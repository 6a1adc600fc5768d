"""Tests of readers of stored predictions with randomly damaged files."""

import pytest

pytestmark = pytest.mark.slow


def test_damaged_predictions(fuzz):
    fuzz('predictions', 300)
