"""Steps of tools/train.py and tools/test.py between config and Runner."""

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

# Imported before there is a process group: its functions would otherwise hold
# the group as a default argument until Python has shut down.
import torch.distributed.nn.functional
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from mmps.checkpoints.loaders import set_checkpoint_loaders
from mmps.utils.config import type_name
from mmps.utils.device import has_cuda, leave_unusable_gpu
from mmps.utils.errors import UsageError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def set_work_dir(cfg: Config, work_dir: str | None, config: str) -> None:
    """Choose the folder of logs and checkpoints.

    Args:
        cfg: Changed in place.
        work_dir: From the command line; None: the config's own, or
            ``work_dirs/`` and the config's name.
        config: Name of the config file.
    """
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(config).stem))


def writable_folder(path: str | os.PathLike, option: str) -> None:
    """Create a folder, raising UsageError if it cannot be written to."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise UsageError(f'{option} {path}: {err.strerror}') from err
    if not os.access(path, os.W_OK):
        raise UsageError(f'{option} {path}: no permission to write')


def set_launcher(cfg: Config, launcher: str) -> None:
    """Prepare several processes; without CUDA they talk through gloo.

    mmengine's launcher sets a CUDA device and wraps the model for one. Both
    fail on a CPU, unless the process group is there already and the wrapper
    uses no device.

    Args:
        cfg: Changed in place.
        launcher: One of :data:`LAUNCHERS`.

    Raises:
        UsageError: The processes were not started by this launcher, or the
            launcher needs CUDA.
    """
    cfg.launcher = launcher
    refuse_sync_buffers(cfg)
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise UsageError(
            '--launcher pytorch: not started by torchrun; use '
            'tools/dist_train.sh or tools/dist_test.sh'
        )
    if launcher == 'none' or has_cuda():
        return
    if launcher != 'pytorch':
        raise UsageError(
            f'--launcher {launcher} needs CUDA; on CPUs use --launcher pytorch'
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper: dict[str, Any] = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper


def refuse_sync_buffers(cfg: Config) -> None:
    """Raise UsageError for a config with ``SyncBuffersHook``.

    It averages buffers over processes. The prototypes, queue and pointer of
    an identity memory are the same on all of them and must stay so.
    """
    hooks = list(cfg.get('custom_hooks') or [])
    hooks += list((cfg.get('default_hooks') or {}).values())
    for hook in hooks:
        name = (
            type_name(hook) if isinstance(hook, dict) else type(hook).__name__
        )
        if name == 'SyncBuffersHook':
            raise UsageError(
                'the config has SyncBuffersHook, which would average the '
                'identity memories of the processes: remove it'
            )


def set_amp(cfg: Config, amp: bool) -> None:
    """Turn mixed precision on: float16 with loss scaling, on CPU bfloat16.

    A config that asks for ``AmpOptimWrapper`` itself, which needs a GPU,
    trains in bfloat16 on a CPU too.

    Args:
        cfg: Changed in place; must have an ``optim_wrapper``.
        amp: Whether ``--amp`` was given.
    """
    wrapper = cfg.optim_wrapper
    kind = type_name(wrapper) or 'OptimWrapper'
    if has_cuda():
        if amp and kind == 'OptimWrapper':
            wrapper.type = 'AmpOptimWrapper'
            wrapper.loss_scale = 'dynamic'
    elif amp or kind == 'AmpOptimWrapper':
        wrapper.type = 'mmps.BF16OptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)


class _RunConfig(Config):
    """Config whose text is formatted once, which can take a second.

    The log, the dump, every visualizer and every checkpoint ask for it.
    """

    @classmethod
    def of(cls, cfg: Config) -> '_RunConfig':
        """The same config."""
        run_cfg = cls.__new__(cls)
        run_cfg.__setstate__(cfg.__getstate__())
        return run_cfg

    @property
    def pretty_text(self) -> str:
        """The config as formatted Python."""
        state = str(self._cfg_dict)
        if self.__dict__.get('_formatted_state') != state:
            text = super().pretty_text
            self.__dict__.update(_formatted_state=state, _formatted=text)
        return self.__dict__['_formatted']


def build_runner(cfg: Config, trust_checkpoint: bool = False) -> Runner:
    """Build the Runner a config asks for.

    It uses a GPU only if mmcv's operators do. Checkpoints that it will load
    are read without running code in them.
    mmengine would write two lines per parameter to the log when it
    initialises the weights; they are left out.

    Args:
        cfg: With a ``work_dir``.
        trust_checkpoint: Read checkpoints that hold more than weights and
            plain values, too, with a warning. Defaults to False.

    Raises:
        UsageError: The config's ``work_dir`` cannot be written to.
    """
    writable_folder(cfg.work_dir, 'work_dir')
    set_checkpoint_loaders(trust_checkpoint)
    leave_unusable_gpu()
    cfg = _RunConfig.of(cfg)
    if 'runner_type' in cfg:
        runner = RUNNERS.build(cfg)
    else:
        runner = Runner.from_cfg(cfg)
    quiet_init_weights(runner.model)
    return runner


def quiet_init_weights(model: nn.Module) -> None:
    """Keep ``init_weights`` from logging where each value comes from.

    Args:
        model: The model, wrapped for several processes or not.
    """
    if is_model_wrapper(model):
        model = model.module
    model._dump_init_info = _nothing


def _nothing() -> None:
    """Stand in for a method; a lambda could not be pickled."""


@contextmanager
def lost_workers_explained() -> Iterator[None]:
    """Turn torch's error for a killed data loading process into advice.

    Raises:
        UsageError: Such a process is gone.
    """
    try:
        yield
    except RuntimeError as err:
        text = str(err)
        if 'DataLoader worker' not in text or 'Traceback' in text:
            raise
        raise UsageError(
            f'a data loading process is gone ({text.splitlines()[0]}). Often '
            'memory ran out: fewer num_workers or a smaller batch_size help. '
            'A training goes on from its last checkpoint with --resume'
        ) from err


def close_processes() -> None:
    """Leave the process group, if there is one, and end its threads.

    A model in a wrapper for several processes holds the group, and an unused
    Runner stays alive by reference cycles. A thread of the group that frees
    a tensor while Python shuts down aborts the process.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        # A thread of gloo that frees what it has sent needs Python's lock;
        # torch 2.1 holds that while it waits for the thread to end.
        time.sleep(0.1)
        torch.distributed.destroy_process_group()
