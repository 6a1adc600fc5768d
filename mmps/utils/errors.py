"""The error that command-line tools show without a traceback."""


class UsageError(Exception):
    """Wrong input by the user; the message says what was expected."""
