"""Hooks' changes to a model before testing, for programs without a Runner."""

import os
import shutil
from collections.abc import Iterable

import torch
from mmengine.model import is_model_wrapper
from torch import nn

from mmps.utils.torch_version import require_torch


def channels_last(model: nn.Module) -> None:
    """Put 4-d weights, and with them the maps, in channels-last order.

    Args:
        model: Changed in place.
    """
    model.to(memory_format=torch.channels_last)


def compile_body(model: nn.Module) -> None:
    """Have a detector's backbone and neck compiled when they are first run.

    Args:
        model: The detector, wrapped for several processes or not.

    Raises:
        UsageError: torch is older than 2.6.
        ValueError: There is no C++ compiler.
    """
    require_torch('2.6', 'CompileHook')
    compiler = os.environ.get('CXX', 'g++')
    if shutil.which(compiler) is None:
        raise ValueError(
            f'CompileHook: no C++ compiler ({compiler}); install one, or '
            'leave the hook out of custom_hooks'
        )
    if is_model_wrapper(model):
        model = model.module
    for name in ('backbone', 'neck'):
        part = getattr(model, name, None)
        if part is not None:
            part.compile()


_BY_HOOK = {'ChannelsLastHook': channels_last, 'CompileHook': compile_body}


def prepare_model(model: nn.Module, hooks: Iterable[dict]) -> None:
    """Do to a model what the hooks of a config do to it before testing.

    Args:
        model: Changed in place.
        hooks: ``custom_hooks`` of a config; those that do something else are
            passed over.

    Raises:
        UsageError, ValueError: See :func:`compile_body`.
    """
    for hook in hooks:
        kind = hook.get('type') if isinstance(hook, dict) else type(hook)
        name = kind if isinstance(kind, str) else kind.__name__
        prepare = _BY_HOOK.get(name.rpartition('.')[2])
        if prepare is not None:
            prepare(model)
