"""Tests of randomly damaged requests."""

import pytest

pytestmark = pytest.mark.slow


def test_damaged_requests(fuzz):
    fuzz('web', 60)
