"""PCNet's head so small that loops over its anchors are quick."""

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from torch import Tensor, nn

import mmps.models  # noqa: F401
from mmps.registry import MODELS

from tiny_methods import tiny_pcnet

DIMS, SIZE = 8, (128, 160)


def head_cfg(**kwargs) -> ConfigDict:
    """Config of a head with two levels; options that replace its own."""
    model = tiny_pcnet()
    model.bbox_head.bbox_coder.target_stds = [0.1, 0.1, 0.2, 0.2]
    test_cfg = dict(
        nms_pre=100,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=10,
    )
    own = dict(embed_dims=DIMS, train_cfg=model.train_cfg, test_cfg=test_cfg)
    return ConfigDict({**model.bbox_head, **own, **kwargs})


def make_head(**kwargs) -> nn.Module:
    """Build it, with weights under which no two boxes fit alike."""
    torch.manual_seed(0)
    head = MODELS.build(head_cfg(**kwargs))
    head.init_weights()
    torch.nn.init.normal_(head.retina_reg.weight, std=0.3)
    torch.nn.init.normal_(head.retina_cls.weight, std=0.3)
    generator = torch.Generator().manual_seed(3)
    prototypes = torch.randn(6, DIMS, generator=generator)
    head.memory.update(F.normalize(prototypes, dim=1), torch.arange(6))
    return head


def pyramid(num: int = 2, size: tuple[int, int] = SIZE) -> list[Tensor]:
    """Its input."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(num, 8, size[0] // s, size[1] // s, generator=generator)
        for s in (8, 16)
    ]


FOUR_ANCHORS = dict(
    type='mmdet.AnchorGenerator',
    octave_base_scale=4,
    scales_per_octave=2,
    ratios=[1.0, 2.6],
    center_offset=0.5,
    strides=[8, 16],
)


@torch.no_grad()
def every_anchor(
    head: nn.Module, x: list[Tensor]
) -> list[list[tuple[Tensor, float, Tensor]]]:
    """Per level of image 0: decoded box, score and own f' of each anchor."""
    scores, deltas, feats, _ = head(x)
    found = []
    for level, f in enumerate(feats):
        prior = head.prior_generator.single_level_grid_priors(
            f.shape[-2:], level, device='cpu'
        )
        here = []
        for k in range(len(prior)):
            cell, anchor = divmod(k, f.size(1))
            row, col = divmod(cell, f.size(-1))
            delta = deltas[level][0, 4 * anchor : 4 * anchor + 4, row, col]
            (box,) = head.bbox_coder.decode(
                prior[k : k + 1], delta[None], max_shape=SIZE
            )
            score = scores[level][0, anchor, row, col].sigmoid().item()
            here.append((box, score, f[0, anchor, :, row, col]))
        found.append(here)
    return found
