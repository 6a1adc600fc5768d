"""mmengine's loading of checkpoints, from anywhere, without running code."""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import mmengine
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.fileio import get_file_backend
from mmengine.runner import (
    CheckpointLoader,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)
from mmengine.runner.checkpoint import _get_mmengine_home
from torch import nn

from mmps.utils.errors import UsageError

from .reading import hash_weights, load_state, read_checkpoint, weights_of

# Gives the local file for as long as it is read.
Finder = Callable[[str], AbstractContextManager]


def set_checkpoint_loaders(trust: bool = False) -> None:
    """Make mmengine read every checkpoint in this process strictly.

    mmengine's own loaders read a file again with code allowed when it holds
    more than weights. These are for the weights of a Runner, of
    ``init_cfg`` and of ``mmengine.runner.load_checkpoint`` alike, from
    files, http, torchvision, OpenMMLab and object storage; safetensors
    included. See :func:`~mmps.checkpoints.reading.read_checkpoint`.

    Args:
        trust: Read files that would be refused, with a warning each.
            Defaults to False.
    """
    for prefixes, find in _SCHEMES.items():
        loader = _loader(find, trust)
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


def load_weights(
    model: nn.Module, source: str | os.PathLike, trust: bool = False
) -> str:
    """Load a checkpoint's weights into a model, all of them.

    Args:
        model: The model, changed in place.
        source: A file, or an address that mmengine knows: http(s),
            ``torchvision://``, ``openmmlab://``, ``s3://``, ...
        trust: See :func:`set_checkpoint_loaders`, which this calls.
            Defaults to False.

    Returns:
        SHA-256 of the weights' names and values; the same for a training's
        checkpoint and for the published one without the optimizer.

    Raises:
        UsageError: The checkpoint cannot be read or does not fit, see
            :func:`~mmps.checkpoints.reading.load_state`.
    """
    set_checkpoint_loaders(trust)
    source = os.fspath(source)
    checkpoint = CheckpointLoader.load_checkpoint(source, 'cpu', 'silent')
    return hash_weights(load_state(model, checkpoint, source))


def _loader(find: Finder, trust: bool) -> Callable[..., dict]:
    def load(filename: str, map_location: Any = None) -> dict:
        with find(filename) as path:
            try:
                data = read_checkpoint(path, trust, map_location or 'cpu')
            except UsageError as err:
                if str(path) == filename:
                    raise
                raise UsageError(f'{filename}: {err}') from err
        if filename.startswith('mmcls://'):
            return dict(state_dict=_backbone_of(data))
        if isinstance(data.get('meta'), dict):
            # Runner.resume would run this text as a config file.
            data['meta'].pop('config', None)
        return data

    # mmengine's log shows it from the eleventh letter on.
    load.__name__ = f'load_from{find.__name__}'
    return load


def _backbone_of(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key.removeprefix('backbone.'): value
        for key, value in weights_of(data).items()
        if key.startswith('backbone.')
    }


def _local(filename: str) -> AbstractContextManager:
    path = str(Path(filename).expanduser())
    return contextlib.nullcontext(filename if path == filename else path)


def _http(filename: str) -> AbstractContextManager:
    """From the cache that torch and mmengine use."""
    name = Path(urlparse(filename).path).name
    file = Path(torch.hub.get_dir(), 'checkpoints', name)
    if is_main_process():
        try:
            _download(filename, file)
        finally:
            barrier()
    else:
        barrier()
        _download(filename, file)  # to the disk of another machine
    return contextlib.nullcontext(file)


def _download(url: str, file: Path) -> None:
    if file.is_file():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = sys.stderr.isatty()
    try:
        torch.hub.download_url_to_file(url, str(file), progress=shown)
    except (OSError, HTTPException) as err:
        raise UsageError(
            f'checkpoint {url} cannot be downloaded to {file} ({err})'
        ) from err


def _torchvision(filename: str) -> AbstractContextManager:
    # The older names do not need the package.
    hub = Path(mmengine.__path__[0], 'hub', 'torchvision_0.12.json')
    urls = mmengine.load(hub)
    if _name(filename) not in urls:
        try:
            urls = get_torchvision_models()
        except ImportError as err:
            raise UsageError(
                f'checkpoint {filename} is known to torchvision alone, '
                'which is not installed'
            ) from err
    return _http(_look_up(urls, _name(filename), filename))


def _openmmlab(filename: str) -> AbstractContextManager:
    name = _name(filename)
    name = get_deprecated_model_names().get(name, name)
    url = _look_up(get_external_models(), name, filename)
    if url.startswith(('http://', 'https://')):
        return _http(url)
    return _local(str(Path(_get_mmengine_home(), url)))


def _mmcls(filename: str) -> AbstractContextManager:
    return _http(_look_up(get_mmcls_models(), _name(filename), filename))


def _storage(filename: str) -> AbstractContextManager:
    try:
        backend = get_file_backend(filename)
    except ImportError as err:
        raise UsageError(f'checkpoint {filename}: {err}') from err
    if not backend.isfile(filename):
        raise UsageError(f'checkpoint {filename} does not exist')
    return backend.get_local_path(filename)


def _pavi(filename: str) -> AbstractContextManager:
    raise UsageError(
        f'checkpoint {filename}: pavi is not supported; download the file '
        'and give its path'
    )


def _name(filename: str) -> str:
    return filename.partition('://')[2]


def _look_up(urls: Mapping[str, str], name: str, filename: str) -> str:
    if name not in urls:
        raise UsageError(f'checkpoint {filename}: there is no such model')
    return urls[name]


_SCHEMES: dict[tuple[str, ...], Finder] = {
    ('',): _local,
    ('http://', 'https://'): _http,
    ('modelzoo://', 'torchvision://'): _torchvision,
    ('open-mmlab://', 'openmmlab://'): _openmmlab,
    ('mmcls://',): _mmcls,
    (r'(\S+\:)?s3://', r'(\S+\:)?petrel://'): _storage,
    ('pavi://',): _pavi,
}
