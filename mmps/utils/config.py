"""Reading config files."""

import difflib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

import mmps

from .cfg_options import check_cfg_options
from .errors import USAGE_ERRORS, UsageError, one_line


def load_config(
    path: str | os.PathLike, cfg_options: dict[str, Any] | None = None
) -> Config:
    """Read a config file and apply ``--cfg-options``.

    >>> from mmps.utils.config import load_config
    >>> cfg = load_config('oim_r50_prw', {'train_cfg.max_iters': 10})
    >>> cfg.model.type, cfg.train_cfg.max_iters
    ('FasterRCNN', 10)

    Args:
        path: A file, ``package::name`` for a config that a package ships
            (``mmps::pcnet/pcnet_r50_prw.py``), or the plain name of one of
            ours (``pcnet_r50_prw``).
        cfg_options: Dotted key to value, as ``CfgOptions`` gives them. A
            leading ``+`` on a key adds what the config lacks. Defaults to
            None.

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
        text = f'{name}: {one_line(err)}' if name else one_line(err)
        raise UsageError(f'config {path}: {text}') from err
    if cfg_options:
        options = check_cfg_options(cfg, cfg_options)
        try:
            cfg.merge_from_dict(options)
        except (KeyError, TypeError) as err:
            raise UsageError(f'--cfg-options: {one_line(err)}') from err
    return cfg


def type_name(node: Mapping[str, Any]) -> str:
    """Name of the class that a part of a config is built as.

    >>> from mmps.utils.config import type_name
    >>> type_name(dict(type='mmps.PersonSearchMetric', det_thr=0.3))
    'PersonSearchMetric'

    Args:
        node: With a ``type``, which may be a class or a name with a scope.

    Returns:
        Without the scope; '' if there is no type.
    """
    kind = node.get('type') or ''
    name = kind if isinstance(kind, str) else kind.__name__
    return name.split('.')[-1]


def finder_test_cfg(test_cfg: dict[str, Any]) -> dict[str, Any]:
    """The part of a model's ``test_cfg`` that says how people are found.

    >>> from mmps.utils.config import finder_test_cfg
    >>> finder_test_cfg(dict(rpn=dict(nms_pre=9), rcnn=dict(score_thr=0.5)))
    {'score_thr': 0.5}

    Args:
        test_cfg: Of the detector.

    Returns:
        That of its dense head where there is one beside a RoI head, else of
        its RoI head, else all of it.
    """
    for name in ('dense', 'rcnn'):
        if name in test_cfg:
            return test_cfg[name]
    return test_cfg


def shipped_configs() -> dict[str, str]:
    """Configs that mmps ships: plain name to ``mmps::FOLDER/NAME.py``.

    Raises:
        UsageError: The installation has none.
    """
    shipped = configs_folder()
    files = {path.stem: path for path in shipped.glob('[!_]*/*.py')}
    return {
        name: f'mmps::{files[name].relative_to(shipped).as_posix()}'
        for name in sorted(files)
    }


def configs_folder() -> Path:
    """Where the configs are that mmps ships.

    Raises:
        UsageError: The installation has none.
    """
    shipped = Path(mmps.__file__).parent / '.mim' / 'configs'
    if not any(shipped.glob('[!_]*/*.py')):
        raise UsageError(
            f'{shipped}: no such folder, or no configs in it; install mmps '
            'again (in a checkout: make setup)'
        )
    return shipped


def _named(path: str) -> str:
    """Complete the plain name of a config that mmps ships."""
    if Path(path).name != path or Path(path).suffix or '::' in path:
        return path
    shipped = shipped_configs()
    if path not in shipped:
        if Path(path).is_file():
            return path
        close = difflib.get_close_matches(path, shipped, 1, 0.7)
        hint = f'; did you mean {close[0]}?' if close else ''
        raise UsageError(f'config {path} does not exist{hint}')
    return shipped[path]


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
