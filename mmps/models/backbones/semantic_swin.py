"""Swin Transformer, with SOLIDER's semantic condition where it is wanted."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.backbones import SwinTransformer
from mmdet.models.backbones.swin import swin_converter
from mmdet.models.layers import PatchMerging, nchw_to_nlc, nlc_to_nchw
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from .pretrained import load_pretrained
from .row_backbone import stages_to_keep


@MODELS.register_module()
class SemanticSwin(SwinTransformer):
    """mmdet's Swin that can end early and take a semantic weight.

    Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer
    using Shifted Windows", ICCV 2021; Chen et al., "Beyond Appearance: a
    Semantic Controllable Self-Supervised Learning Framework for
    Human-Centric Visual Tasks", CVPR 2023 (SOLIDER).

    Args:
        semantic_weight (float, optional): lambda, 0 to 1: how much the
            features tell parts of a body apart, in the place of people.
            SOLIDER has 0.6 for person search. Defaults to None, which is
            Swin without condition.
        num_stages (int, optional): Stages that are kept, the first ones.
            Defaults to None, which is all of ``depths``.
        depths (Sequence[int]): Blocks of every stage of the whole network.
            Defaults to (2, 2, 6, 2), Swin-T.
        out_indices (Sequence[int]): Stages whose outputs are given.
            Defaults to (0, 1, 2, 3).
        init_cfg (dict, optional): ``type='Pretrained'`` reads SOLIDER's
            checkpoints (whole, or the teacher alone), Swin's own and
            mmdet's. Defaults to None.
        **kwargs: See mmdet's SwinTransformer.

    Raises:
        ValueError: A stage that is wanted is not there, or the semantic
            weight is not in 0 to 1.
    """

    norm_eval = False  # there is no batch norm

    def __init__(
        self,
        semantic_weight: float | None = None,
        num_stages: int | None = None,
        depths: Sequence[int] = (2, 2, 6, 2),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        last = stages_to_keep(self, num_stages, len(depths), out_indices)
        if semantic_weight is not None and not 0 <= semantic_weight <= 1:
            raise ValueError(
                'SemanticSwin: semantic_weight must be 0 to 1, or None, got '
                f'{semantic_weight}'
            )
        super().__init__(
            depths=depths, out_indices=out_indices, init_cfg=init_cfg, **kwargs
        )
        # Cut afterwards: stochastic depth grows over the whole network.
        self.stages = self.stages[:last]
        self.stages[-1].downsample = None
        self.feat_dim = self.num_features[last - 1]
        if semantic_weight is not None:
            for stage in self.stages[:-1]:
                merging = stage.downsample
                stage.downsample = ConditionedMerging(
                    semantic_weight,
                    merging.in_channels,
                    merging.out_channels,
                    stride=merging.sampler.stride,
                    norm_cfg=merging.norm and dict(type='LN'),
                )

    def stage_layers(self, stage: int) -> nn.Module:
        """The last stage, from (N, C, H, W) to (N, 2 C, H / 2, W / 2).

        Args:
            stage: Its index, ``num_stages - 1``.
        """
        return SwinStage(
            self.stages[stage - 1].downsample,
            self.stages[stage],
            getattr(self, f'norm{stage}'),
        )

    def init_weights(self) -> None:
        """Read pretrained weights, or start as mmdet's Swin.

        Raises:
            UsageError: The checkpoint is another network's.
        """
        if not self.init_cfg:
            super().init_weights()
            return
        # Swin's authors norm the last output only.
        load_pretrained(self, self.init_cfg, self._in_own_keys, ('norm',))

    def _in_own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        if any(key.startswith('layers.') for key in state):
            state = swin_converter(state)
        found = {}
        for key, value in state.items():
            name = key.removeprefix('backbone.')
            if name.startswith('semantic_embed_'):
                # Of the last stage there is one as well; nothing reads it.
                layer, stage, value_of = name.split('.')
                part = 'scale' if layer.endswith('w') else 'shift'
                name = f'stages.{stage}.downsample.{part}.{value_of}'
            elif name.startswith('norm.'):
                last = len(self.num_features) - 1
                name = name.replace('norm', f'norm{last}')
            found[name] = value
        return found


class ConditionedMerging(PatchMerging):
    r"""Merging of patches whose output the semantic weight conditions.

    ``x softplus(W s + w) + V s + v``, s = (lambda, 1 - lambda).

    Args:
        semantic_weight (float): lambda.
        *args, **kwargs: Of mmdet's PatchMerging.
    """

    def __init__(
        self, semantic_weight: float, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.scale = nn.Linear(2, self.out_channels)
        self.shift = nn.Linear(2, self.out_channels)
        weights = torch.tensor([semantic_weight, 1 - semantic_weight])
        self.register_buffer('weights', weights, persistent=False)

    def forward(
        self, x: Tensor, input_size: tuple[int, int]
    ) -> tuple[Tensor, tuple[int, int]]:
        """Merge, scale and shift; see mmdet's PatchMerging."""
        x, size = super().forward(x, input_size)
        scale = F.softplus(self.scale(self.weights))
        return x * scale + self.shift(self.weights), size


class SwinStage(BaseModule):
    """A stage of Swin on maps, with the merging of patches before it.

    Args:
        merging (nn.Module): mmdet's PatchMerging.
        blocks (nn.Module): mmdet's SwinBlockSequence.
        norm (nn.Module): Of the output.
    """

    def __init__(
        self, merging: nn.Module, blocks: nn.Module, norm: nn.Module
    ) -> None:
        super().__init__()
        self.merging, self.blocks, self.norm = merging, blocks, norm

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2 C, H / 2, W / 2), halves rounded up."""
        tokens, shape = self.merging(nchw_to_nlc(x), tuple(x.shape[2:]))
        _, _, tokens, shape = self.blocks(tokens, shape)
        return nlc_to_nchw(self.norm(tokens), shape)
