"""Requests with damage at random; see fuzzing."""


def test_damaged_requests(fuzz):
    fuzz('web', 60)
