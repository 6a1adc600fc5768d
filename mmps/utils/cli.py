"""What every command-line tool of mmps shares: errors and configs."""

import argparse
import difflib
import glob
import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mmengine.config import Config, DictAction
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import MMLogger

import mmps
from mmps.utils.cfg_options import check_cfg_options
from mmps.utils.errors import UsageError

__all__ = [
    'CfgOptions',
    'UsageError',
    'add_config_args',
    'add_trust_arg',
    'existing_file',
    'load_config',
    'run_cli',
    'share',
]

# What bad arguments, files and configs raise, and a training that diverges;
# anything else is a bug of ours and keeps its traceback.
USAGE_ERRORS = (UsageError, ValueError, KeyError, OSError, FloatingPointError)


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


def existing_file(path: str, what: str) -> str:
    """Return ``path`` if it is a file.

    Args:
        path: The path to look at.
        what: What it should be, for the message ("checkpoint").

    Raises:
        UsageError: There is no such file.
    """
    if not Path(path).is_file():
        kind = 'is not a file' if Path(path).exists() else 'does not exist'
        raise UsageError(f'{what} {path} {kind}')
    return path


def load_config(
    path: str | os.PathLike, cfg_options: dict[str, Any] | None = None
) -> Config:
    """Read a config file and apply ``--cfg-options``.

    Args:
        path: A file, ``package::name`` for a config that a package ships
            (``mmps::pcnet/pcnet_r50_prw.py``), or the plain name of one of
            ours (``pcnet_r50_prw``).
        cfg_options: Dotted key to value, as :class:`CfgOptions` gives
            them. A leading ``+`` on a key adds what the config lacks.
            Defaults to None.

    Returns:
        Config: The merged config.

    Raises:
        UsageError: The config does not exist or cannot be read, or an
            option names a key that neither the config nor the class it
            belongs to knows.
    """
    path = _named(str(path))
    if '::' not in path:
        if not Path(path).is_file():
            raise UsageError(
                f'config {path} does not exist{_similar_files(path)}'
            )
        if Path(path).suffix not in ('.py', '.json', '.yaml', '.yml'):
            raise UsageError(f'config {path}: expected a .py file')
    try:
        cfg = _read(path)
    except UsageError:
        raise
    except Exception as err:  # a config is code: it may raise anything
        name = '' if isinstance(err, USAGE_ERRORS) else type(err).__name__
        text = f'{name}: {_one_line(err)}' if name else _one_line(err)
        raise UsageError(f'config {path}: {text}') from err
    if cfg_options:
        options = check_cfg_options(cfg, cfg_options)
        try:
            cfg.merge_from_dict(options)
        except (KeyError, TypeError) as err:
            raise UsageError(f'--cfg-options: {_one_line(err)}') from err
    return cfg


def share(text: str) -> float:
    """Parse an option that is a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'expected 0 to 1, got {text}')
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
        # The reader of a pipe (head, less) went away: nothing to report.
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
        print(f'error: {_one_line(err)}{where}', file=sys.stderr)
        sys.exit(2)


def _named(path: str) -> str:
    """Complete the plain name of a config that mmps ships."""
    if Path(path).name != path or Path(path).suffix or '::' in path:
        return path
    shipped = Path(mmps.__file__).parent / '.mim' / 'configs'
    for file in shipped.glob(f'[!_]*/{glob.escape(path)}.py'):
        return f'mmps::{file.relative_to(shipped).as_posix()}'
    return path


def _read(path: str) -> Config:
    """Read a config from a file or from an installed package."""
    package, sep, name = path.partition('::')
    if not sep:
        return Config.fromfile(path)
    if package not in MODULE2PACKAGE:
        raise UsageError(
            f'config {path}: {package!r} is not a package that ships configs'
        )
    # Not mmengine's get_config: it installs packages that are not there, and
    # OpenMMLab's looks for editable ones in the wrong place.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UsageError(f'config {path}: {package} is not installed')
    name = name if Path(name).suffix else f'{name}.py'
    file = Path(spec.origin).parent / '.mim' / 'configs' / name
    if not file.is_file():
        raise UsageError(
            f'config {path} does not exist{_similar_files(str(file))}'
        )
    return Config.fromfile(file)


def _similar_files(path: str) -> str:
    """Return a did-you-mean suffix with config files of a close name."""
    folder = Path(path).parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if 'configs' not in folder.parts:  # do not walk through a whole disk
        folder = folder / 'configs'
    known = {p.name: p for p in folder.glob('**/*.py')}
    close = difflib.get_close_matches(Path(path).name, known, 1, 0.7)
    return f'; did you mean {known[close[0]]}?' if close else ''


def _one_line(err: BaseException) -> str:
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


def _log_traceback() -> str:
    """Write the current traceback to the run's log files, if any.

    Returns:
        str: The first log file's name, '' where there is none.
    """
    names = []
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.stream.write(traceback.format_exc())
            handler.flush()
            names.append(handler.baseFilename)
    return names[0] if names else ''
