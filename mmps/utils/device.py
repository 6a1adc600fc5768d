"""The device that a run can use."""

import logging
import os
from functools import cache

import mmengine.device.utils as mmengine_device
import torch
from mmengine.logging import print_log


@cache
def has_cuda() -> bool:
    """Whether torch and mmcv's operators both run on a GPU here.

    mmcv may have been built without CUDA, or for other GPUs; that is said in
    one line, once. It is found out by a call.
    """
    if not torch.cuda.is_available():
        return False
    # Late, since it takes seconds, and few need it to say no.
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


def leave_unusable_gpu() -> None:
    """Have mmengine use the CPU where mmcv's operators cannot use the GPU.

    mmengine takes the GPU as soon as torch has one, and training would end at
    the first operator.
    """
    if mmengine_device.DEVICE == 'cuda' and not has_cuda():
        mmengine_device.DEVICE = 'cpu'
