"""Attention between the positions of a RoI, some of them of another one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS


@MODELS.register_module()
class OccludedAttentionTransformer(BaseModule):
    """A transformer over the tokens of a RoI, as a shared head (COAT).

    The channels are reduced and shared out to branches, each with tokens from
    a convolution of its own size; a layer of self-attention per branch, and
    everything is added to what it was made of. In training a stripe of tokens
    may come from another RoI of the batch, as if that person stood in front.
    The same is done, with another stripe, to the map that the embedding reads
    from before the transformer.

    Unlike a :class:`BackboneStage` it keeps the size of the map and gives
    both maps of a RoI: the one before it and its own.

    Source: Yu et al., "Cascade Transformers for End-to-End Person Search"
    (COAT), CVPR 2022, section 3.2.

    Args:
        in_channels (int): C of the RoI features. Defaults to 1024.
        out_channels (int): Of the last map. Defaults to 2048.
        channels (int): Of all branches together. Defaults to 512.
        kernel_sizes (Sequence[int]): Odd sizes of the token convolutions, one
            per branch. Defaults to (1, 3).
        num_heads (int): Of the attention; they share the channels of a
            branch's tokens, half of the branch's own. Defaults to 8.
        before (bool): A 1 x 1 convolution on the map before it; False gives
            the RoI features themselves. A stage in which no projection reads
            this map does without. Defaults to True.
        exchange_width (int): Of the stripe of tokens that RoIs exchange in
            training; 0 for none. Defaults to 0.

    Raises:
        ValueError: The channels cannot be shared out, a kernel has an even
            size, or the stripe a negative width.
    """

    def __init__(
        self,
        in_channels: int = 1024,
        out_channels: int = 2048,
        channels: int = 512,
        kernel_sizes: Sequence[int] = (1, 3),
        num_heads: int = 8,
        before: bool = True,
        exchange_width: int = 0,
    ) -> None:
        super().__init__()
        shares = 2 * len(kernel_sizes) * num_heads
        if channels % shares:
            raise ValueError(
                f'OccludedAttentionTransformer: channels={channels} cannot be '
                f'shared out to {len(kernel_sizes)} branches whose tokens '
                f'have {num_heads} heads; give a multiple of {shares}'
            )
        if any(size % 2 == 0 for size in kernel_sizes):
            raise ValueError(
                'OccludedAttentionTransformer: kernel_sizes must be odd, got '
                f'{tuple(kernel_sizes)}'
            )
        if exchange_width < 0:
            raise ValueError(
                'OccludedAttentionTransformer: exchange_width must be 0 or '
                f'more, got {exchange_width}'
            )
        self.exchange_width = exchange_width
        self.before = None
        if before:
            self.before = nn.Conv2d(in_channels, in_channels, 1, bias=False)
        self.reduce = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.branches = nn.ModuleList(
            _Branch(channels // len(kernel_sizes), size, num_heads)
            for size in kernel_sizes
        )
        self.expand = nn.Conv2d(channels, out_channels, 1, bias=False)

    def drop_before(self) -> None:
        """Remove the parameters of the map before it, which nobody reads."""
        self.before = None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """RoI features to the two maps that the heads read.

        Args:
            x: (N, C, H, W).

        Returns:
            (N, C, H, W), before the transformer, and (N, out_channels, H, W).
        """
        before = x
        if self.before is not None:
            (before,) = self._exchanged(self.before(x))
        reduced = self.reduce(x)
        parts = reduced.chunk(len(self.branches), 1)
        tokens = [
            branch.tokens(part) for branch, part in zip(self.branches, parts)
        ]
        # One stripe for all branches.
        tokens = self._exchanged(*tokens)
        out = torch.cat(
            [
                part + branch(token)
                for branch, part, token in zip(self.branches, parts, tokens)
            ],
            1,
        )
        return before, self.expand(reduced + out)

    def _exchanged(self, *maps: Tensor) -> tuple[Tensor, ...]:
        width = self.exchange_width
        if not (self.training and width):
            return maps
        return exchange_stripe(maps, *draw_stripe(maps[0].shape[2:], width))


def draw_stripe(size: Sequence[int], width: int) -> tuple[int, int, int]:
    """Where a stripe across a map lies; rows or columns, equally often.

    The host draws, so that an accelerator is not waited for.

    Args:
        size: H and W of the map.
        width: Of the stripe; at most the map's.

    Returns:
        The axis of (N, C, H, W), 2 or 3, that the stripe is a part of, its
        start and its end.
    """
    axis = int(torch.randint(2, ()))
    width = min(width, size[axis])
    start = int(torch.randint(size[axis] - width + 1, ()))
    return axis + 2, start, start + width


def exchange_stripe(
    maps: Sequence[Tensor],
    axis: int,
    start: int,
    end: int,
    order: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Give every RoI the stripe of another one.

    Args:
        maps: Of the same N RoIs, each (N, C, H, W).
        axis: 2 for rows, 3 for columns.
        start: First of the stripe.
        end: Behind its last.
        order: (N,) whose stripe each RoI gets. Defaults to None, a random
            permutation.

    Returns:
        Maps of the same shapes; the gradient of a stripe goes to the RoI that
        it is from.
    """
    if order is None:
        order = torch.randperm(maps[0].size(0), device=maps[0].device)
    stripe = slice(start, end)
    place = (..., stripe, slice(None)) if axis == 2 else (..., stripe)
    return tuple(
        x.slice_scatter(x[place].index_select(0, order), axis, start, end)
        for x in maps
    )


class _Branch(nn.Module):
    """Self-attention over tokens, and the way back to the map.

    Args:
        channels: Of the map.
        kernel_size: Of the windows that tokens are made of and become.
        num_heads: Of the attention.
    """

    def __init__(
        self, channels: int, kernel_size: int, num_heads: int
    ) -> None:
        super().__init__()
        dims = channels // 2
        padding = kernel_size // 2
        self.num_heads = num_heads
        self.tokens = nn.Conv2d(channels, dims, kernel_size, padding=padding)
        self.norm1 = nn.LayerNorm(dims)
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        self.norm2 = nn.LayerNorm(dims)
        self.ffn = nn.Sequential(
            nn.Linear(dims, 4 * dims), nn.ReLU(), nn.Linear(4 * dims, dims)
        )
        # Windows overlap and are summed.
        self.windows = nn.ConvTranspose2d(
            dims, channels, kernel_size, padding=padding, bias=False
        )
        # Of every position of a window.
        self.window_bias = nn.Parameter(
            torch.empty(1, channels, kernel_size, kernel_size)
        )
        # As a linear layer to all positions would start.
        bound = dims**-0.5
        nn.init.uniform_(self.windows.weight, -bound, bound)
        nn.init.uniform_(self.window_bias, -bound, bound)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, dims, H, W) tokens to a (N, channels, H, W) map."""
        x = self.norm1(tokens.flatten(2).transpose(1, 2))
        # The normalised tokens are what the attention is added to.
        x = x + self._attention(x)
        x = x + self.ffn(self.norm2(x))
        out = self.windows(x.transpose(1, 2).reshape(tokens.shape))
        bias = F.conv_transpose2d(
            self.window_bias.new_ones(1, 1, *tokens.shape[2:]),
            self.window_bias,
            padding=self.windows.padding,
        )
        return out + bias

    def _attention(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(2, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))
