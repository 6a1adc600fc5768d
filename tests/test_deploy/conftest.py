"""Detectors with weights that tell boxes apart, and pictures for them."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from mmps.models.memories import IdentityMemory
from mmps.testing import build, tiny_two_stage
from mmps.utils.config import load_config

# Layers that start near zero, where all boxes would have the same score.
PREDICTIONS = ('retina_', 'rpn_cls', 'rpn_reg', 'classifier.fc', 'fc_vertical',
               'fc_horizontal', 'bbox_head.conv_', 'cls_branches',
               'reg_branches')  # fmt: skip


def detector(name: str, **options) -> nn.Module:
    """The model of a scenes config, untrained; options of its config."""
    options = {f'model.{k}': v for k, v in options.items()}
    cfg = load_config(f'configs/{name}_r18_scenes.py', options)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return lively(cfg.model)


def path_of_test_cfg(name: str) -> str:
    """Where, in a scenes config's test_cfg, detections are chosen."""
    if name.startswith('alignps/roi-'):
        return 'dense.'
    return '' if name.startswith(('alignps', 'pcnet', 'pstr')) else 'rcnn.'


def lively(cfg: dict) -> nn.Module:
    """Build a detector whose predictions differ."""
    torch.manual_seed(0)
    model = build(cfg)
    for memory in model.modules():
        if isinstance(memory, IdentityMemory) and not memory.num_ids:
            memory.resolve(range(12))
    for key, value in model.named_parameters():
        if any(name in key for name in PREDICTIONS) and value.ndim > 1:
            nn.init.normal_(value, std=0.03)
    return model.eval()


def pyramid() -> ConfigDict:
    """Config of three stages on mmdet's FPN, RoIs and proposals on it."""
    model = tiny_two_stage(3)
    model.backbone.update(num_stages=4, strides=(1, 2, 2, 2))
    model.backbone.update(dilations=(1,) * 4, out_indices=(0, 1, 2, 3))
    model.neck = ConfigDict(
        type='mmdet.FPN',
        in_channels=[8, 16, 32, 64],
        out_channels=32,
        num_outs=4,
    )
    model.rpn_head.anchor_generator.strides = [4, 8, 16, 32]
    extractor = model.roi_head.bbox_roi_extractor
    extractor.update(featmap_strides=[4, 8, 16, 32], finest_scale=14)
    # So that boxes of two levels would suppress each other.
    nms = dict(type='nms', iou_threshold=0.3)
    model.test_cfg.rpn.update(nms_pre=40, max_per_img=60, nms=nms)
    model.test_cfg.rpn.min_bbox_size = 4
    return model


def pictures(num: int, size: tuple[int, int], seed: int = 0) -> list:
    """Blobs of colour, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (num, 7, 12, 3), dtype=np.uint8)
    return [cv2.resize(image, size[::-1]) for image in coarse]


@pytest.fixture(scope='session')
def make() -> Callable[..., nn.Module]:
    return detector
