"""Tests of counted operators."""

import pytest
import torch

from mmps.testing import DispatchedOperators


def test_launches_are_not_views():
    x = torch.ones(4, 6)
    with DispatchedOperators() as seen:
        y = x.view(6, 4).T @ torch.ones(6, 2)
        y.add_(1)
    assert seen.counts['aten::mm'] == seen.counts['aten::add_'] == 1
    assert seen.counts['aten::view'] == 1
    # The vector of ones, its product and the sum.
    assert seen.launches == 3
    assert seen.waits == 0


@pytest.mark.parametrize(
    'work',
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x.index_put((x > 0,), torch.tensor(2.0)),
    ],
)
def test_waits(work):
    with DispatchedOperators() as seen:
        work(torch.eye(3))
    assert seen.waits == 1


def test_integers_as_index_need_no_wait():
    with DispatchedOperators() as seen:
        torch.eye(3)[torch.tensor([0, 2])]
    assert seen.counts['aten::index'] == 1
    assert seen.waits == 0
