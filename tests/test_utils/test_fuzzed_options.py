"""Options of command lines with damage at random; see fuzzing."""


def test_damaged_options(fuzz):
    fuzz('options', 200)
