"""Checkpoints with damage at random; see fuzzing."""


def test_damaged_checkpoints(fuzz):
    fuzz('checkpoint', 200)
