"""Requests with damage at random; see mmps.testing.fuzzing."""


def test_damaged_requests(fuzz):
    fuzz('web', 60)
