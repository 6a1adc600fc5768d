"""Tests of two and four processes against one on the same global batch.

Uneven shares, a process without a labelled person and one without anybody
included. What cannot agree is left out: batch statistics (batch norms are
frozen, but for ProtoNorm) and random sampling of RoIs (all are taken).
"""

import pytest
import torch
from mmengine.registry import DefaultScope
from torch.nn.parallel import DistributedDataParallel

from mmps.models.layers import ProtoNorm
from mmps.testing import build, demo_search_samples, training_loss

from process_group import run_group
from tiny_methods import TINY_METHODS

# Per step: people per image, images without a label, and who gets which.
STEPS = [
    ((3, 2, 3, 1), (), {2: [2, 2], 4: [1, 1, 1, 1]}),
    ((2, 3, 2, 3, 1), (), {2: [4, 1], 4: [2, 1, 1, 1]}),
    ((3, 2, 2, 3), (2, 3), {2: [2, 2], 4: [1, 1, 1, 1]}),
    ((3, 2, 0, 0), (), {2: [2, 2], 4: [1, 1, 1, 1]}),
    ((0, 2, 3, 2, 1), (3,), {2: [1, 4], 4: [1, 2, 1, 1]}),
]


class Loss(torch.nn.Module):
    """What mmengine's wrapper runs of a detector."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, inputs, samples):
        return training_loss(self.detector.loss(inputs, samples))


def train(rank, world_size, folder, name):
    """One process: all steps on its shares, then what they made."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        detector = build(TINY_METHODS[name]()).train()
    for module in detector.modules():
        if isinstance(
            module, torch.nn.modules.batchnorm._BatchNorm
        ) and not isinstance(module, ProtoNorm):
            module.eval()
            module.requires_grad_(False)
    model = Loss(detector)
    if world_size > 1:
        model = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.SGD(detector.parameters(), 1e-3, momentum=0.9)
    losses = []
    for step, (people, unlabelled, shares) in enumerate(STEPS):
        inputs, samples = demo_search_samples(people, seed=step)
        for i in unlabelled:
            samples[i].gt_instances.person_ids.fill_(-1)
        if world_size > 1:
            end = sum(shares[world_size][: rank + 1])
            mine = slice(end - shares[world_size][rank], end)
            inputs, samples = inputs[mine], samples[mine]
        loss = model(inputs, samples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if world_size > 1:
            loss = loss.detach()
            torch.distributed.all_reduce(loss)
        losses.append(float(loss) / world_size)
    state = dict(losses=losses, state=detector.state_dict())
    torch.save(state, f'{folder}/{world_size}-{rank}.pt')


def trained(world_size, folder, name):
    run_group(world_size, train, folder, name)
    return [
        torch.load(folder / f'{world_size}-{rank}.pt', weights_only=True)
        for rank in range(world_size)
    ]


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.slow if name != 'oim' else ())
        for name in TINY_METHODS
    ],
)
def test_equal_processes(tmp_path, name):
    (one,) = trained(1, tmp_path, name)
    state = one['state'].items()
    assert any(v.any() for k, v in state if 'queue_filled' in k)
    assert any(v.sum() > 3 for k, v in state if 'prototypes_filled' in k)
    for world_size in (2, 4):
        for got in trained(world_size, tmp_path, name):
            assert got['losses'] == pytest.approx(one['losses'], rel=1e-4)
            for key, value in one['state'].items():
                torch.testing.assert_close(
                    got['state'][key],
                    value,
                    rtol=1e-4,
                    atol=2e-5,
                    msg=lambda text, key=key: f'{key}: {text}',
                )
