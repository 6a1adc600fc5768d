"""Stored predictions with damage at random; see fuzzing."""


def test_damaged_predictions(fuzz):
    fuzz('predictions', 300)
