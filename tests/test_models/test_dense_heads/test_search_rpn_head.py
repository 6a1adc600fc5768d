"""Tests of SearchRPNHead: its own levels only, and fp32."""

import pytest
import torch

from mmps.registry import MODELS
from mmps.testing import HALF_DTYPES

RPN = dict(
    in_channels=8,
    feat_channels=8,
    anchor_generator=dict(
        type='mmdet.AnchorGenerator', scales=[4], ratios=[2.0], strides=[8, 16]
    ),
    bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
    loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),
    loss_bbox=dict(type='mmdet.L1Loss'),
)


def test_equals_mmdets_on_the_first_levels():
    head = MODELS.build(dict(type='mmps.SearchRPNHead', **RPN))
    twin = MODELS.build(dict(type='mmdet.RPNHead', **RPN))
    twin.load_state_dict(head.state_dict())
    x = [torch.randn(1, 8, 10, 12), torch.randn(1, 8, 5, 6)]
    extra = torch.randn(1, 3, 40, 48)
    for got, want in zip(head([*x, extra]), twin(x)):
        assert len(got) == 2
        for a, b in zip(got, want):
            assert torch.equal(a, b)


@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_float32_under_autocast(dtype):
    head = MODELS.build(dict(type='mmps.SearchRPNHead', **RPN))
    x = [torch.randn(1, 8, 10, 12), torch.randn(1, 8, 5, 6)]
    with torch.autocast('cpu', dtype=dtype):
        outs = head(x)
    assert {t.dtype for out in outs for t in out} == {torch.float32}
