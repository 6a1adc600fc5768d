"""Deformable convolutions that also train at speed on a CPU."""

import warnings
from functools import cache

import torch
import torch.nn.functional as F
from mmcv.ops import (
    DeformConv2d,
    ModulatedDeformConv2d,
    deform_conv2d,
    modulated_deform_conv2d,
)
from torch import Tensor
from torch.nn.modules.utils import _pair

# Locations whose samples are held at a time: they stay in the cache.
_LOCATIONS = 512


def deform_conv2d_by_sampling(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    padding: int,
    stride: int = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Deformable convolution as a sampling and a product.

    Equal to mmcv's operators (values outside the map are zero, bilinear
    between cells), but on a CPU its backward is about 14 times faster.

    Args:
        x (Tensor): (N, C, H, W).
        offset (Tensor): (N, 2K, H', W'), (y, x) pairs in cells, kernel taps
            row by row; H' and W' are those of the output.
        weight (Tensor): (O, C, k, k) with k * k = K.
        padding (int): Zero padding that the kernel grid starts from.
        stride (int): Cells from one location to the next. Defaults to 1.
        mask (Tensor, optional): (N, K, H', W') factors of the samples
            (DCNv2). Defaults to None, which is 1.

    Returns:
        Tensor: (N, O, H', W').
    """
    y, x_pos = _sampled_positions(x, offset, weight.size(-1), padding, stride)
    with torch.autocast(x.device.type, enabled=False):
        if _runs_as_written(x) and _has_sparse_product():
            return _by_sparse_product(x, y, x_pos, weight, mask)
        height, width = x.shape[2:]
        # align_corners=False puts cell i at (2i + 1) / size - 1.
        grid = torch.stack(
            ((2 * x_pos + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1
        )
        sampled = F.grid_sample(
            x,
            grid.flatten(1, 2),
            mode='bilinear',
            padding_mode='zeros',
            align_corners=False,
        ).unflatten(2, y.shape[1:3])
        if mask is not None:
            sampled = sampled * mask[:, None]
    # As a 1x1 convolution: no copy of the samples, and bf16 under autocast.
    return F.conv2d(
        sampled.flatten(1, 2),
        weight.reshape(weight.size(0), -1, 1, 1),
    )


def _runs_as_written(x: Tensor) -> bool:
    """On the CPU, neither traced for gradients nor for another program."""
    return x.device.type == 'cpu' and not (
        torch.is_grad_enabled() or _is_compiling() or torch.jit.is_tracing()
    )


def _is_compiling() -> bool:
    # From torch 2.3 on; CompileHook and exports need later ones.
    return getattr(torch.compiler, 'is_compiling', bool)()


@cache
def _has_sparse_product() -> bool:
    """Whether torch has MKL's sparse product."""
    # torch warns at the first sparse tensor that their support is in beta.
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.eye(1).to_sparse_csr()
    return torch.backends.mkl.is_available()


def _by_sparse_product(
    x: Tensor, y: Tensor, x_pos: Tensor, weight: Tensor, mask: Tensor | None
) -> Tensor:
    """The same without gradients, in half the time and little memory.

    A sample is a weighted sum of four cells, so the samples are a sparse
    matrix times the cells, for which MKL has a product.

    Args:
        x (Tensor): (N, C, H, W).
        y (Tensor): (N, K, H', W') positions in cells.
        x_pos (Tensor): (N, K, H', W') likewise.
        weight (Tensor): (O, C, k, k).
        mask (Tensor | None): (N, K, H', W') factors.
    """
    height, width = x.shape[2:]
    size = y.shape[2:]
    # Locations first, then their taps, then the four cells of each.
    y, x_pos = (t.flatten(2).transpose(1, 2).contiguous() for t in (y, x_pos))
    rows, row_shares = _two_cells(y, height)
    cols, col_shares = _two_cells(x_pos, width)
    cells = rows[..., :, None] * width + cols[..., None, :]
    shares = row_shares[..., :, None] * col_shares[..., None, :]
    if mask is not None:
        shares *= mask.flatten(2).transpose(1, 2)[..., None, None]

    out = x.new_empty(len(x), weight.size(0), size.numel())
    kernel = weight.permute(0, 2, 3, 1).flatten(1)
    samples = x.new_empty(_LOCATIONS, kernel.size(1))
    starts = torch.arange(0, 4 * y.size(2) * _LOCATIONS + 1, 4).int()
    for image in zip(x.flatten(2), cells, shares, out, strict=True):
        table = image[0].t().contiguous()
        parts = (t.split(_LOCATIONS) for t in image[1:3])
        for cell, share, part in zip(*parts, image[3].split(_LOCATIONS, 1)):
            held = samples[: len(cell)]
            taken = held.view(-1, table.size(1))
            matrix = torch.sparse_csr_tensor(
                starts[: len(taken) + 1],
                cell.flatten(),
                share.flatten(),
                (len(taken), len(table)),
                check_invariants=False,
            )
            torch.addmm(taken, matrix, table, beta=0, out=taken)
            torch.mm(kernel, held.t(), out=part)
    return out.unflatten(2, size)


def _two_cells(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The two cells that a position lies between, and their shares.

    Args:
        position (Tensor): (...) in cells; not a number is outside.
        size (int): Cells there are.

    Returns:
        tuple: (..., 2) int32 cells and (..., 2) shares, 0 outside the map.
    """
    first = position.floor()
    cells = torch.stack((first, first + 1), -1)
    share = (position - first)[..., None]
    shares = torch.cat((1 - share, share), -1)
    outside = ~((cells >= 0) & (cells < size))
    shares = shares.masked_fill_(outside, 0)
    return cells.masked_fill_(outside, 0).to(torch.int32), shares


def _sampled_positions(
    x: Tensor, offset: Tensor, kernel: int, padding: int, stride: int
) -> tuple[Tensor, Tensor]:
    """(N, K, H', W') y and x of the sampled points, in cells."""
    height, width = offset.shape[2:]
    ys, xs = kernel_grid(kernel, padding, x.device, x.dtype)
    offset = offset.unflatten(1, (-1, 2))
    rows = torch.arange(height, device=x.device, dtype=x.dtype) * stride
    cols = torch.arange(width, device=x.device, dtype=x.dtype) * stride
    y = offset[:, :, 0] + ys[:, None, None] + rows[:, None]
    return y, offset[:, :, 1] + xs[:, None, None] + cols


def kernel_grid(
    kernel: int, padding: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Tap positions (y, x) of a k x k kernel in cells, row by row."""
    steps = torch.arange(kernel, device=device, dtype=dtype) - padding
    return steps.repeat_interleave(kernel), steps.repeat(kernel)


def maps_at_a_time(num_maps: int, most: int = 32) -> int:
    """How many maps mmcv's CUDA operator works through at a time.

    Args:
        num_maps (int): Maps of the batch, at least 1.
        most (int): Upper bound. Defaults to 32, the operator's own default.

    Returns:
        int: The largest number up to ``most`` that divides ``num_maps``; the
        operator refuses others.
    """
    return next(
        n for n in range(min(most, num_maps), 0, -1) if num_maps % n == 0
    )


def run_deform_conv(
    conv: DeformConv2d | ModulatedDeformConv2d,
    x: Tensor,
    offset: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """A layer of mmcv's, one path per device.

    CUDA runs mmcv's operator; a CPU runs :func:`deform_conv2d_by_sampling`,
    unless the layer is dilated or has groups. Points are sampled in fp32
    under autocast too (neither path has a bf16 kernel everywhere), and
    channels-last input is taken.

    Args:
        conv: Gives weights and options.
        x: (N, C, H, W).
        offset: (N, 2K, H', W').
        mask: (N, K, H', W') of a modulated layer. Defaults to None.

    Returns:
        (N, O, H', W'), fp32 (fp64 for fp64 input).
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    x, offset, weight = (
        t.to(dtype).contiguous() for t in (x, offset, conv.weight)
    )
    mask = None if mask is None else mask.to(dtype).contiguous()
    bias = getattr(conv, 'bias', None)
    # Modulated layers keep options as they are given, others as pairs.
    stride, padding, dilation = (
        _pair(option) for option in (conv.stride, conv.padding, conv.dilation)
    )
    plain = conv.groups == conv.deform_groups == 1 and dilation == (1, 1)
    square = stride[0] == stride[1] and padding[0] == padding[1]
    if not x.is_cuda and plain and square:
        out = deform_conv2d_by_sampling(
            x, offset, weight, padding[0], stride[0], mask
        ).to(dtype)
        return out if bias is None else out + bias[:, None, None]
    options = (stride, padding, dilation, conv.groups, conv.deform_groups)
    with torch.autocast(x.device.type, enabled=False):
        if mask is not None:
            return modulated_deform_conv2d(
                x, offset, mask, weight, bias, *options
            )
        return _by_operator(x, offset, weight, options)


def _by_operator(
    x: Tensor, offset: Tensor, weight: Tensor, options: tuple
) -> Tensor:
    # The operator wants a map no smaller than its kernel.
    pad_h = max(weight.size(2) - x.size(2), 0)
    pad_w = max(weight.size(3) - x.size(3), 0)
    height, width = offset.shape[-2:]
    if pad_h or pad_w:
        x = F.pad(x, (0, pad_w, 0, pad_h)).contiguous()
        offset = F.pad(offset, (0, pad_w, 0, pad_h)).contiguous()
    out = deform_conv2d(
        x, offset, weight, *options, False, maps_at_a_time(len(x))
    )
    return out[:, :, :height, :width]


class DeformConv(DeformConv2d):
    """mmcv's `DeformConv2d` of stride 1, one path per device.

    See :func:`run_deform_conv`; module and state dict are mmcv's.

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
        return run_deform_conv(self, x, offset)
