"""Galleries with damage at random; see fuzzing."""


def test_damaged_galleries(fuzz):
    fuzz('gallery', 100)
