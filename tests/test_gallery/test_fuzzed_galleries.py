"""Galleries with damage at random; see mmps.testing.fuzzing."""


def test_damaged_galleries(fuzz):
    fuzz('gallery', 100)
