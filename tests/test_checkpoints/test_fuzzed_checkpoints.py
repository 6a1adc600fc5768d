"""Tests of readers of checkpoints with randomly damaged files."""


def test_damaged_checkpoints(fuzz):
    fuzz('checkpoint', 200)
