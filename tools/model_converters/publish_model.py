#!/usr/bin/env python3
"""Prepare a checkpoint of a training for publication.

Kept are the weights with the identity memory, which belongs to the model (of a
training with mmengine's EMAHook the averaged ones, which its checkpoints hold
as their weights), the config's text, the data set's names, epoch, iteration
and seed. The version of mmps and a hash of the weights are added. Optimizer,
schedules and log are left out.

OUT-HASH.pth and OUT-HASH.safetensors hold the same. HASH is the start of the
.pth file's SHA-256, as in OpenMMLab's model zoos.
"""

import argparse
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmps import __version__
from mmps.checkpoints.reading import hash_weights, read_checkpoint, weights_of
from mmps.checkpoints.safetensors_file import safetensors_bytes
from mmps.cli.common import add_trust_arg, run_cli
from mmps.engine.launch import writable_folder
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole

SUFFIXES = ('.pth', '.safetensors')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'checkpoint', metavar='IN', type=Path, help='of a training'
    )
    parser.add_argument(
        'out', metavar='OUT', type=Path, nargs='?',
        help='name without hash, or a folder (default: that of IN)',
    )  # fmt: skip
    add_trust_arg(parser)
    return parser.parse_args()


def published(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a checkpoint that is published.

    Args:
        checkpoint: Of a training, published before, or a state dict.

    Returns:
        ``state_dict`` of tensors that own their memory, and ``meta`` of
        strings, numbers, lists and dicts.

    Raises:
        UsageError: There are no weights.
    """
    state = {
        key: value.detach().clone(memory_format=torch.contiguous_format)
        for key, value in sorted(weights_of(checkpoint).items())
    }
    if not state:
        raise UsageError('holds no weights')
    return dict(
        state_dict=state, meta=small_meta(checkpoint.get('meta'), state)
    )


def small_meta(meta: Any, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The part of a meta that is of use to others.

    Args:
        meta: As mmengine stores it; anything if the file is not mmengine's.
        state: The weights.
    """
    meta = meta if isinstance(meta, Mapping) else {}
    small: dict[str, Any] = {}
    for key, kind in (
        ('cfg', str), ('dataset_meta', dict), ('epoch', int), ('iter', int),
        ('seed', int),
    ):  # fmt: skip
        if isinstance(meta.get(key), kind):
            small[key] = meta[key]
    if 'dataset_meta' in small:
        names = {k: _plain(v) for k, v in small['dataset_meta'].items()}
        small['dataset_meta'] = {
            str(k): v for k, v in names.items() if v is not None
        }
    small['mmps_version'] = __version__
    small['weights_sha256'] = hash_weights(state)
    return small


def publish(source: Path, out: Path, trust: bool = False) -> list[Path]:
    """Write both files.

    Args:
        source: The checkpoint.
        out: Name without hash, with or without one of the suffixes.
        trust: See :func:`~mmps.checkpoints.reading.read_checkpoint`.

    Returns:
        The ``.pth`` file, the ``.safetensors`` file.

    Raises:
        UsageError: The checkpoint cannot be read or has no weights, or the
            files cannot be written.
    """
    writable_folder(out.parent, 'OUT')
    try:
        data = published(read_checkpoint(source, trust))
    except UsageError as err:
        if str(source) in str(err):
            raise
        raise UsageError(f'checkpoint {source}: {err}') from err
    buffer = io.BytesIO()
    torch.save(data, buffer)
    contents = buffer.getvalue(), safetensors_bytes(**_parts(data))
    digest = hashlib.sha256(contents[0]).hexdigest()[:8]
    stem = out.stem if out.suffix in SUFFIXES else out.name
    paths = [out.with_name(f'{stem}-{digest}{suffix}') for suffix in SUFFIXES]
    for path, content in zip(paths, contents):
        write_whole(path, content)
    return paths


def main() -> None:
    """Run the tool."""
    args = parse_args()
    out = args.out or args.checkpoint
    if out.is_dir():
        out = out / args.checkpoint.name
    paths = publish(args.checkpoint, out, args.trust_checkpoint)
    for path in paths:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        print(f'{path}  {len(content) / 2**20:.1f} MiB  sha256 {digest}')
    meta = read_checkpoint(paths[-1])['meta']
    print(f'weights  sha256 {meta["weights_sha256"]}')


def _parts(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(state=data['state_dict'], meta=data['meta'])


def _plain(value: Any) -> Any:
    """The value as JSON has it, None if it has no such form."""
    try:
        return json.loads(json.dumps(value, default=_of_numpy))
    except (TypeError, ValueError):
        return None


def _of_numpy(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f'{type(value).__name__} is not plain')


if __name__ == '__main__':
    run_cli(main)
