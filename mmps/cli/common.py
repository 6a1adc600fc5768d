"""Options and errors that all command-line tools share."""

import argparse
import logging
import math
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from mmengine.config import DictAction
from mmengine.logging import MMLogger

from mmps.utils.errors import USAGE_ERRORS, UsageError, one_line


class CfgOptions(DictAction):
    """``--cfg-options`` of mmengine, with an error for a missing ``=``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Parse the values of one ``--cfg-options``."""
        for item in values or ():
            if not item.partition('=')[1]:
                parser.error(
                    f'--cfg-options: expected key=value, got {item!r}'
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, RecursionError) as err:
            text = str(err) if isinstance(err, AssertionError) else ''
            parser.error(f'--cfg-options: {text or "nested too deeply"}')


def add_config_args(parser: argparse.ArgumentParser) -> None:
    """Add the positional ``config`` and ``--cfg-options`` to a parser.

    Args:
        parser: The tool's parser, changed in place.
    """
    parser.add_argument(
        'config',
        help='config file, or a name such as pcnet_r50_prw',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as '
        'train_dataloader.batch_size=2 or key="[(a,b),(c,d)]" (no spaces '
        'inside a value); +KEY=VALUE adds a key the config does not have',
    )


def add_trust_arg(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint`` to a parser.

    Args:
        parser: The tool's parser, changed in place.
    """
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read checkpoints that hold more than weights and plain values; '
        'they can run code: only for files whose source you trust',
    )


def share(text: str) -> float:
    """Parse an option that is a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'expected 0 to 1, got {text}')
    return value


def finite(text: str) -> float:
    """Parse an option that is a number, neither infinite nor NaN."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'expected a number, got {text}')
    return value


def positive(text: str) -> int:
    """Parse an option that is a whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'expected 1 or more, got {text}')
    return value


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a tool's ``main`` and end the process with its exit status.

    Errors of use (:data:`USAGE_ERRORS`) become one line on stderr and
    status 2; the traceback goes to the run's log file if there is one.
    ``MMPS_TRACEBACK=1`` in the environment shows it on stderr instead.

    Args:
        main: Takes no argument; returns the status, None for 0.
    """
    try:
        sys.exit(main() or 0)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has ended: nothing to report.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except USAGE_ERRORS as err:
        if os.environ.get('MMPS_TRACEBACK', '0') not in ('', '0'):
            raise
        where = ''
        if not isinstance(err, UsageError):
            log = _log_traceback()
            hint = log or 'set MMPS_TRACEBACK=1'
            where = f' (traceback: {hint})'
        print(f'error: {one_line(err)}{where}', file=sys.stderr)
        sys.exit(2)


def _log_traceback() -> str:
    """Write the current traceback to the run's log files, if any.

    Returns:
        str: The first log file's name, '' where there is none.
    """
    names = []
    for handler in MMLogger.get_current_instance().handlers:
        # A closed handler has no stream.
        if isinstance(handler, logging.FileHandler) and handler.stream:
            handler.stream.write(traceback.format_exc())
            handler.flush()
            names.append(handler.baseFilename)
    return names[0] if names else ''
