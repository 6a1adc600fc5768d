"""Stored predictions with damage at random; see mmps.testing.fuzzing."""


def test_damaged_predictions(fuzz):
    fuzz('predictions', 300)
