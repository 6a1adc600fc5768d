"""Checkpoints and options with damage at random; see fuzzing."""

import pytest


@pytest.mark.parametrize('name', ['checkpoint', 'options'])
def test_damaged_input(fuzz, name):
    fuzz(name, 200)
