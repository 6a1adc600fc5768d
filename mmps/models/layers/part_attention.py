"""Attention between points that are sampled in a box."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, xavier_init
from torch import Tensor, nn

from ..utils.precision import precise


class PartAttention(BaseModule):
    """Attention between a person's parts, points sampled in their box.

    Every head samples points of the map; where, its query says, in halves of
    the box's width and height. The mean of what they hold attends to itself
    and to them, by their dot products; what it takes in is the head's share
    of the output. No residual, norm or output projection.

    Source: Cao et al., "PSTR: End-to-End One-Step Person Search With
    Transformers", CVPR 2022, section 3.2.

    Args:
        embed_dims (int): C of queries and map. Defaults to 256.
        num_heads (int): Defaults to 8.
        num_points (int): Points per head. Defaults to 4.

    Raises:
        ValueError: The heads cannot share the channels.
    """

    def __init__(
        self, embed_dims: int = 256, num_heads: int = 8, num_points: int = 4
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(
                f'PartAttention: {num_heads} heads cannot share '
                f'{embed_dims} channels'
            )
        self.num_heads = num_heads
        self.num_points = num_points
        self.sampling_offsets = nn.Linear(
            embed_dims, num_heads * num_points * 2
        )
        self.value_proj = nn.Linear(embed_dims, embed_dims)

    def init_weights(self) -> None:
        """Points of a head one behind the other, every head another way.

        What a query changes of that is drawn (Xavier), as it comes about in
        the published code.
        """
        xavier_init(self.sampling_offsets, distribution='uniform')
        angles = torch.arange(self.num_heads) * 2 * torch.pi / self.num_heads
        ways = torch.stack((angles.cos(), angles.sin()), -1)
        ways = ways / ways.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.num_points + 1)[:, None]
        with torch.no_grad():
            start = (ways[:, None] * steps).flatten()
            self.sampling_offsets.bias.copy_(start)
        xavier_init(self.value_proj, distribution='uniform')

    def forward(
        self,
        query: Tensor,
        level: Tensor,
        boxes: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Queries, each with its box, to what the parts of a person say.

        Args:
            query: (N, Q, C).
            level: (N, C, H, W), the map.
            boxes: (N, Q, 4), cx, cy, w, h as fractions of the map.
            mask: (N, H * W) bool, True where an image is padded and nothing
                is read. Defaults to None.

        Returns:
            (N, Q, C).
        """
        num, count, channels = query.shape
        size = level.shape[2:]
        values = self.value_proj(level.flatten(2).transpose(1, 2))
        if mask is not None:
            values = values.masked_fill(mask[..., None], 0)
        offsets = self.sampling_offsets(query)
        offsets = offsets.view(num, count, self.num_heads, self.num_points, 2)
        # A half precision cannot say where in a map of 100 columns.
        with torch.autocast(query.device.type, enabled=False):
            boxes = precise(boxes)
            reach = 0.5 * boxes[:, :, None, None, 2:] / self.num_points
            points = boxes[:, :, None, None, :2] + offsets * reach
            values = values.to(points.dtype).transpose(1, 2)
            tokens = F.grid_sample(
                values.reshape(num * self.num_heads, -1, *size),
                2 * points.transpose(1, 2).flatten(0, 1) - 1,
                align_corners=False,
            ).permute(0, 2, 3, 1)
            mean = tokens.mean(2, keepdim=True)
            tokens = torch.cat((mean, tokens), 2)
            scale = tokens.size(-1) ** -0.5
            shares = (mean * scale @ tokens.transpose(2, 3)).softmax(-1)
            out = (shares @ tokens).view(num, self.num_heads, count, -1)
            return out.transpose(1, 2).reshape(num, count, channels)
