"""Tests of RoI heads in two processes: all parameters, equal memories."""

import pytest
import torch
from mmengine.registry import DefaultScope
from torch.nn.parallel import DistributedDataParallel

from mmps.testing import (
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)

from process_group import run_group
from tiny_methods import shallow_branch, shallow_neck

pytestmark = pytest.mark.slow


def model(name):
    torch.manual_seed(0)
    if name == 'hoim':
        return build(
            tiny_two_stage(
                bbox_head=dict(
                    classifier=dict(type='mmps.MemoryClassifier'),
                    loss_cls=dict(type='mmps.SoftmaxFocalLoss'),
                ),
                reid_head=dict(
                    memory=dict(
                        queue=dict(type='mmps.SelectiveRefreshQueue'),
                        background_size=6,
                    ),
                    loss_reid=dict(type='mmps.HOIMLoss'),
                ),
            )
        )
    return build(
        shallow_neck(
            tiny_two_stage(
                2,
                bbox_head=dict(classifier=dict(type='mmps.NormClassifier')),
                reid_head=dict(
                    uncertainty=dict(type='mmps.UncertaintyGuidance'),
                    memory=dict(
                        update=dict(type='mmps.AdaptiveMomentumUpdate')
                    ),
                ),
                shallow=shallow_branch(
                    loss_distill=dict(type='mmps.SoftLabelLoss')
                ),
            )
        )
    )


class Loss(torch.nn.Module):
    """What mmengine's wrapper runs of a detector."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, inputs, samples):
        return training_loss(self.detector.loss(inputs, samples))


def train(rank, world_size, folder, name):
    """One process: two steps, then its memories and gradients."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = model(name).train()
    wrapped = DistributedDataParallel(Loss(detector), broadcast_buffers=False)
    # The second process sees nobody in the first step, few in the second.
    for step, people in enumerate([[(3, 2), (0, 0)], [(2, 1), (1, 0)]]):
        inputs, samples = demo_search_samples(
            people[rank], seed=2 * step + rank
        )
        wrapped.zero_grad()
        wrapped(inputs, samples).backward()
    state = {
        'grads': {n: p.grad for n, p in detector.named_parameters()},
        'memories': {
            key: value
            for key, value in detector.state_dict().items()
            if '.memory.' in key
        },
    }
    torch.save(state, f'{folder}/{rank}.pt')


@pytest.mark.parametrize('name', ['hoim', 'ugas-seqnet'])
def test_two_processes_agree(tmp_path, name):
    run_group(2, train, tmp_path, name)
    one, other = (
        torch.load(tmp_path / f'{rank}.pt', weights_only=True)
        for rank in range(2)
    )
    for part in ('grads', 'memories'):
        assert one[part].keys() == other[part].keys()
        for key, value in one[part].items():
            assert value is not None, key
            assert torch.equal(value, other[part][key]), key
    filled = [v for k, v in one['memories'].items() if 'prototypes_f' in k]
    assert all(f.any() for f in filled)
    assert len(filled) == (1 if name == 'hoim' else 2)
