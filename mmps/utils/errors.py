"""The errors that command-line tools show without a traceback."""


class UsageError(Exception):
    """Wrong input by the user; the message says what was expected."""


# What bad arguments, files and configs raise, and a training that diverges;
# anything else is a bug in mmps and keeps its traceback.
USAGE_ERRORS = (UsageError, ValueError, KeyError, OSError, FloatingPointError)


def one_line(err: BaseException) -> str:
    """Return an exception's message on one line."""
    # str(KeyError) is the repr of its argument, quotes and \n included.
    if isinstance(err, KeyError) and err.args:
        text = str(err.args[0])
        if ' ' not in text:
            text = f'unknown key {text!r}'
    else:
        text = str(err) or type(err).__name__
    if text.startswith('Caught ') and 'Traceback' in text:
        # Of a data loading process: its traceback, and last the error.
        name, _, last = text.strip().splitlines()[-1].partition(': ')
        text = last or name
    line = ''
    for part in filter(None, (p.strip() for p in text.splitlines())):
        glue = '' if not line else ' ' if line[-1] in ',:;.' else '; '
        line += glue + part
    return line
