"""PVTv2 whose last stage can be a part of its own."""

from collections.abc import Sequence
from typing import Any

from mmdet.models.backbones import PyramidVisionTransformerV2
from mmdet.models.backbones.pvt import pvt_convert
from mmdet.models.layers import nlc_to_nchw
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from .pretrained import load_pretrained
from .row_backbone import stages_to_keep


@MODELS.register_module()
class PVTv2(PyramidVisionTransformerV2):
    """mmdet's PVTv2 that can end early; strides 4, 8, 16 and 32.

    B2 has (3, 4, 6, 3) layers of 64, 128, 320 and 512 channels.

    Source: Wang et al., "PVT v2: Improved Baselines with Pyramid Vision
    Transformer", CVMJ 2022.

    Args:
        num_stages (int, optional): Stages that are kept, the first ones.
            Defaults to None, which is all of ``num_layers``.
        num_layers (Sequence[int]): Of every stage of the whole network.
            Defaults to (3, 4, 6, 3), B2.
        out_indices (Sequence[int]): Stages whose outputs are given.
            Defaults to (0, 1, 2, 3).
        frozen_stages (int): 0 freezes the first embedding of patches, n also
            the first n stages, -1 nothing. Defaults to -1.
        init_cfg (dict, optional): ``type='Pretrained'`` reads the authors'
            checkpoints and mmdet's. Defaults to None.
        **kwargs: See mmdet's PyramidVisionTransformerV2.

    Raises:
        ValueError: A stage that is wanted is not there.
    """

    norm_eval = False  # there is no batch norm

    def __init__(
        self,
        num_stages: int | None = None,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        last = stages_to_keep(self, num_stages, len(num_layers), out_indices)
        super().__init__(
            num_stages=len(num_layers),
            num_layers=num_layers,
            out_indices=out_indices,
            init_cfg=init_cfg,
            **kwargs,
        )
        # Cut afterwards: stochastic depth grows over the whole network.
        self.layers = self.layers[:last]
        self.feat_dim = self.embed_dims * self.num_heads[last - 1]
        self.frozen_stages = frozen_stages
        for layers in self._frozen():
            layers.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        stem = self.layers[0][0]
        stages = self.layers[: max(self.frozen_stages, 0)]
        return [] if self.frozen_stages < 0 else [stem, *stages]

    def train(self, mode: bool = True) -> 'PVTv2':
        """Keep frozen stages as tested."""
        super().train(mode)
        for layers in self._frozen():
            layers.eval()
        return self

    def stage_layers(self, stage: int) -> nn.Module:
        """The layers of a stage, from (N, C, H, W) to (N, C', H', W').

        Args:
            stage: Its index.
        """
        return PVTStage(*self.layers[stage])

    def init_weights(self) -> None:
        """Read pretrained weights, or start as mmdet's PVTv2.

        Raises:
            UsageError: The checkpoint is another network's.
        """
        if not self.init_cfg:
            super().init_weights()
            return
        load_pretrained(self, self.init_cfg, _mmdet_keys)


class PVTStage(BaseModule):
    """A stage of PVTv2 on maps.

    Args:
        embed (nn.Module): mmdet's PatchEmbed.
        blocks (nn.ModuleList): mmdet's encoder layers.
        norm (nn.Module): Of the output.
    """

    def __init__(
        self, embed: nn.Module, blocks: nn.ModuleList, norm: nn.Module
    ) -> None:
        super().__init__()
        self.embed, self.blocks, self.norm = embed, blocks, norm

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        tokens, shape = self.embed(x)
        for block in self.blocks:
            tokens = block(tokens, shape)
        return nlc_to_nchw(self.norm(tokens), shape)


def _mmdet_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    authors = 'patch_embed1.proj.weight' in state
    return pvt_convert(state) if authors else state
