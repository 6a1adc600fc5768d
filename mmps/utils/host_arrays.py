"""Arrays of tensors."""

import numpy as np
import torch
from torch import Tensor


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
    if not tensor.numel():
        # Its strides may be any, which a view of bytes does not take.
        return tensor.new_empty(0, dtype=torch.uint8)
    return tensor.contiguous().flatten().view(torch.uint8)


def _numpy_dtype(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype
