"""mmengine's loading of checkpoints, from anywhere, without running code."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
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
from mmengine.runner.checkpoint import (
    _get_mmengine_home,
    _process_mmcls_checkpoint,
)
from torch import nn

from mmps.utils.errors import UsageError

from .reading import hash_weights, load_state, read_checkpoint


def set_checkpoint_loaders(trust: bool = False) -> None:
    """Make mmengine read every checkpoint in this process strictly.

    mmengine's own loaders read a file again with code allowed when it holds
    more than weights. One loader takes the place of all of them: for the
    weights of a Runner, of ``init_cfg`` and of
    ``mmengine.runner.load_checkpoint`` alike, from files, http, torchvision,
    OpenMMLab and object storage; safetensors included. See
    :func:`~mmps.checkpoints.reading.read_checkpoint`.

    Args:
        trust: Read files that would be refused, with a warning each.
            Defaults to False.
    """

    # mmengine's log shows the name from the eleventh letter on.
    def load_from_checked(
        filename: str, map_location: Any = None
    ) -> dict[str, Any]:
        with _local_file(filename) as path:
            try:
                data = read_checkpoint(path, trust, map_location or 'cpu')
            except UsageError as err:
                if str(path) == filename:
                    raise
                raise UsageError(f'{filename}: {err}') from err
        if filename.startswith('mmcls://'):
            return _process_mmcls_checkpoint(data)
        if isinstance(data.get('meta'), dict):
            # Runner.resume would run this text as a config file.
            data['meta'].pop('config', None)
        return data

    prefixes = tuple(CheckpointLoader._schemes)
    CheckpointLoader.register_scheme(prefixes, load_from_checked, force=True)


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


def _local_file(filename: str) -> AbstractContextManager:
    """Gives the path of a local file for as long as it is read."""
    address = _address(filename)
    if address.startswith(('http://', 'https://')):
        return nullcontext(_from_http(address))
    try:
        backend = get_file_backend(address)
    except ImportError as err:
        raise UsageError(f'checkpoint {filename}: {err}') from err
    except (KeyError, ValueError) as err:
        scheme = address.partition('://')[0]
        raise UsageError(
            f'checkpoint {filename}: {scheme} is not supported; download the '
            'file and give its path'
        ) from err
    if not backend.isfile(address):
        raise UsageError(f'checkpoint {filename} does not exist')
    return backend.get_local_path(address)


def _address(filename: str) -> str:
    """A path, or where to get the file; names of model zoos looked up."""
    scheme, _, name = filename.partition('://')
    if scheme in ('open-mmlab', 'openmmlab'):
        urls = get_external_models()
        name = get_deprecated_model_names().get(name, name)
    elif scheme == 'mmcls':
        urls = get_mmcls_models()
    elif scheme in ('torchvision', 'modelzoo'):
        urls = _torchvision_models(name, filename)
    else:
        return os.path.expanduser(filename)
    if name not in urls:
        raise UsageError(f'checkpoint {filename}: there is no such model')
    # A user's own models may lie below the home of mmengine.
    url = urls[name]
    return url if '://' in url else os.path.join(_get_mmengine_home(), url)


def _torchvision_models(name: str, filename: str) -> dict[str, str]:
    # The older names do not need the package.
    hub = Path(mmengine.__path__[0], 'hub', 'torchvision_0.12.json')
    urls = mmengine.load(hub)
    if name in urls:
        return urls
    try:
        return get_torchvision_models()
    except ImportError as err:
        raise UsageError(
            f'checkpoint {filename} is known to torchvision alone, which is '
            'not installed'
        ) from err


def _from_http(url: str) -> Path:
    """A file in the cache that torch and mmengine use."""
    name = Path(urlparse(url).path).name
    file = Path(torch.hub.get_dir(), 'checkpoints', name)
    if is_main_process():
        try:
            _download(url, file)
        finally:
            barrier()
    else:
        barrier()
        _download(url, file)  # to the disk of another machine
    return file


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
