"""Deformable DETR whose head also reads the neck's maps."""

from collections.abc import Sequence

import torch
from mmdet.models.detectors import DeformableDETR
from mmdet.structures import OptSampleList
from torch import Tensor

from mmps.registry import MODELS


@MODELS.register_module()
class PSTR(DeformableDETR):
    """Deformable DETR on the first of several maps, all handed to the head.

    The transformer finds people in the first map, and :class:`PSTRHead` says
    who they are by reading all maps, as the neck has made them. It runs in
    single precision under autocast too: neither the sampling of mmcv nor a
    box as fractions of an image is meant for half precision.

    Source: Cao et al., "PSTR: End-to-End One-Step Person Search With
    Transformers", CVPR 2022.

    Args:
        num_feature_levels (int): Levels of the transformer; one.
        **kwargs: See mmdet's DeformableDETR.
    """

    def __init__(self, *args, num_feature_levels: int = 1, **kwargs) -> None:
        super().__init__(
            *args, num_feature_levels=num_feature_levels, **kwargs
        )

    def forward_transformer(
        self,
        img_feats: Sequence[Tensor],
        batch_data_samples: OptSampleList = None,
    ) -> dict:
        """Maps to what the head takes.

        Args:
            img_feats: Several times (N, C, H, W), of one size.
            batch_data_samples: For the sizes of the images.

        Returns:
            dict: As in mmdet, and ``maps``, ``mask`` and ``valid_ratios``.
        """
        dtype = torch.promote_types(img_feats[0].dtype, torch.float32)
        maps = [level.to(dtype) for level in img_feats]
        with torch.autocast(maps[0].device.type, enabled=False):
            found = super().forward_transformer(maps[:1], batch_data_samples)
        return {**found, 'maps': maps}

    def forward_decoder(self, **kwargs) -> dict:
        """As in mmdet; masks go on to the head.

        Args:
            **kwargs: See mmdet's DeformableDETR.

        Returns:
            dict: ``hidden_states``, ``references``, ``mask`` (N, H * W) or
            None, and ``valid_ratios`` (N, 1, 2), the share of the map's
            width and height that an image fills.
        """
        return {
            **super().forward_decoder(**kwargs),
            'mask': kwargs['memory_mask'],
            'valid_ratios': kwargs['valid_ratios'],
        }
