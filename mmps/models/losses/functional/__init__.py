"""Per-sample loss values; the modules beside this folder reduce them.

All compute in float32 (float64 for float64 input), also under autocast, and
give an empty result that is tied to the graph for an empty input.
"""

from .ciou import ciou_loss
from .identity import (
    angular_margin,
    batch_hard_triplet_loss,
    hard_negative_loss,
    memory_cross_entropy,
    oim_loss,
    person_logits,
    prototype_density,
    soft_label_loss,
    softmax_focal_loss,
    with_margin,
)
from .pcnet import distance_loss, pcnet_triplet_loss
from .scenes import nt_xent, scene_pairs

__all__ = [
    'angular_margin',
    'batch_hard_triplet_loss',
    'ciou_loss',
    'distance_loss',
    'hard_negative_loss',
    'memory_cross_entropy',
    'nt_xent',
    'oim_loss',
    'pcnet_triplet_loss',
    'person_logits',
    'prototype_density',
    'scene_pairs',
    'soft_label_loss',
    'softmax_focal_loss',
    'with_margin',
]
