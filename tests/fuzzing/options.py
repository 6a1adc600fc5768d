"""Damaged ``--cfg-options``."""

import argparse
import contextlib
import io
import json
from pathlib import Path

from mmps.cli.common import add_config_args
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from .checks import digest

_CONFIG = """
model = dict(type='RetinaNet', backbone=dict(type='ResNet', depth=50),
             neck=None, extra=dict(), sizes=[(1, 2), (3, 4)])
train_dataloader = dict(batch_size=2, dataset=dict(
    type='CocoDataset', pipeline=[dict(type='LoadImageFromFile')]))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
"""
_OPTIONS = [
    'model.backbone.depth=18',
    'train_dataloader.dataset.pipeline.0.to_float32=True',
    'model.sizes=[(5,6),(7,8)]',
    '+model.more={"a":1}',
    'optim_wrapper.optimizer.lr=1e-3',
]


def write_options(folder: Path) -> None:
    """Write a config, and options for it."""
    (folder / 'options.txt').write_text('\n'.join(_OPTIONS))


def read_options(folder: Path) -> str:
    """Parse the options and merge them into the config."""
    path = folder / 'options.txt'
    try:
        items = path.read_bytes().decode('utf-8', 'surrogateescape')
    except OSError as err:
        raise UsageError(str(err)) from err
    config = folder / 'config.py'
    config.write_text(_CONFIG)
    parser = argparse.ArgumentParser()
    add_config_args(parser)
    errors = io.StringIO()
    values = [v for v in items.split('\n') if not v.startswith('-')]
    try:
        with contextlib.redirect_stderr(errors):
            args = parser.parse_args([str(config), '--cfg-options', *values])
    except SystemExit as err:
        raise UsageError(errors.getvalue() or 'usage') from err
    with contextlib.redirect_stderr(errors):
        cfg = load_config(str(config), args.cfg_options)
    return digest([json.dumps(cfg.to_dict(), default=repr)])
