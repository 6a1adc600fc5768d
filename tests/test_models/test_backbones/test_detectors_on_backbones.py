"""Every head of the package on every backbone."""

import pytest
import torch

from mmps.testing import build, demo_search_samples, training_loss

from tiny_backbones import TINY_BACKBONES, one_stage_on, with_backbone
from tiny_methods import TINY_METHODS


def config(method, backbone):
    model = TINY_METHODS[method]()
    put = with_backbone if 'roi_head' in model else one_stage_on
    return put(model, backbone)


@pytest.mark.parametrize('backbone', TINY_BACKBONES)
@pytest.mark.parametrize('method', TINY_METHODS)
def test_trains_a_step_and_predicts(method, backbone):
    torch.manual_seed(0)
    model = build(config(method, backbone)).train()
    inputs, samples = demo_search_samples((3, 2), queries=(1, 1))
    with torch.no_grad():
        model.loss(inputs, samples)  # an empty memory gives no gradient
    loss = training_loss(model.loss(inputs, samples))
    assert torch.isfinite(loss)
    loss.backward()
    parts = ['backbone.']
    if hasattr(model, 'roi_head'):
        parts.append('roi_head.shared_heads.')
    for name, weight in model.named_parameters():
        if name.startswith(tuple(parts)):
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all(), name
            assert weight.grad.any(), name
    model.eval()
    with torch.no_grad():
        found = model.predict(inputs, samples)
    for sample in found:
        embeddings = sample.query_instances.embeddings
        assert torch.isfinite(embeddings).all()
        assert torch.isfinite(sample.pred_instances.embeddings).all()
