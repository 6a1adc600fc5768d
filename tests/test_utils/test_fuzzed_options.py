"""Tests of randomly damaged --cfg-options."""


def test_damaged_options(fuzz):
    fuzz('options', 200)
