"""The device that a run can use, and copies from it."""

import logging
import os
from functools import cache

import mmengine.device.utils as mmengine_device
import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmps.utils.errors import UsageError


@cache
def has_cuda() -> bool:
    """Whether torch and mmcv's operators both run on a GPU here.

    mmcv may have been built without CUDA, or for other GPUs. A call of an
    operator finds out; a failure is logged once, in one line.
    """
    if not torch.cuda.is_available():
        return False
    # Imported here: it takes seconds, and is not needed without a GPU.
    from mmcv.ops import roi_align

    rank = os.environ.get('LOCAL_RANK', os.environ.get('SLURM_LOCALID', 0))
    device = torch.device('cuda', int(rank) % torch.cuda.device_count())
    try:
        rois = torch.zeros(1, 5, device=device)
        roi_align(torch.zeros(1, 1, 2, 2, device=device), rois, 1)
    except RuntimeError as err:
        reason = str(err).splitlines()[0]
        print_log(
            "There is a GPU, but mmcv's operators do not run on it: the CPU "
            f'is used. Build them for CUDA (docs/gpu.md). ({reason})',
            logger='current',
            level=logging.WARNING,
        )
        return False
    return True


def default_device() -> str:
    """``'cuda:0'`` if a GPU can be used, else ``'cpu'``."""
    return 'cuda:0' if has_cuda() else 'cpu'


def usable_device(name: str | torch.device) -> torch.device:
    """A device that tensors can be put on here.

    Args:
        name: Such as 'cuda:0' or 'cpu'.

    Raises:
        UsageError: There is none of that name, or torch cannot use it.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    # A torch without CUDA asserts that it has it.
    except (RuntimeError, AssertionError) as err:
        reason = str(err).partition('\n')[0]
        raise UsageError(f'device {name}: cannot be used ({reason})') from err
    return device


def leave_unusable_gpu() -> None:
    """Have mmengine use the CPU where mmcv's operators cannot use the GPU.

    mmengine takes the GPU as soon as torch has one, and training would end at
    the first operator.
    """
    if mmengine_device.DEVICE == 'cuda' and not has_cuda():
        mmengine_device.DEVICE = 'cpu'


def to_host(*values: Tensor | np.ndarray) -> list[np.ndarray]:
    """Copy tensors of one device to the host, all of them at once.

    Every copy by itself would wait for the device.

    Args:
        *values: Tensors of any shape, precision and device, or arrays. All
            that are tensors of a device are of the same one.

    Returns:
        As many arrays of their own memory, floating-point ones in float32.
    """
    tensors = [torch.as_tensor(value).detach() for value in values]
    tensors = [t.float() if t.is_floating_point() else t for t in tensors]
    devices = {t.device for t in tensors if t.device.type != 'cpu'}
    device = devices.pop() if devices else torch.device('cpu')
    parts = [_bytes(t.to(device)) for t in tensors]
    data = torch.cat(parts).cpu().numpy()
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [
        part.view(_numpy_dtype(t.dtype)).reshape(t.shape).copy()
        for part, t in zip(np.split(data, ends), tensors, strict=True)
    ]


def _bytes(tensor: Tensor) -> Tensor:
    # contiguous() keeps the strides of one element or none, which may be any;
    # a view of bytes does not take them.
    copy = tensor.clone(memory_format=torch.contiguous_format)
    return copy.flatten().view(torch.uint8)


def _numpy_dtype(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype
