"""Tests of OIMLoss against a loop, and of edge cases."""

import math
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.losses import (
    BOIMLoss,
    FCLoss,
    HOIMLoss,
    OIMLoss,
    PrototypeGuidanceLoss,
    SoftLabelLoss,
)
from mmps.models.losses import oim_loss as oim_module
from mmps.models.losses.functional import memory_cross_entropy, oim_loss
from mmps.models.memories import IdentityMemory, needs_cosines
from mmps.models.memories import readout as readout_module
from mmps.registry import MODELS


def unit(num, dims=8, seed=0, dtype=torch.float64):
    """Random unit rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, dims, generator=generator, dtype=torch.float64)
    return F.normalize(rows, dim=1).to(dtype)


def seen_memory(unfilled='zero', queue_size=4):
    """Ids 0, 1, 3 and two unlabelled people are known; id 2 is not."""
    memory = IdentityMemory(4, 8, queue_size, unfilled=unfilled).double()
    memory.update(unit(6, seed=9), torch.tensor([0, -1, 1, 3, -1, 0]))
    return memory


def loop_loss(memory, x, person_ids, temperature):
    """Mean cross-entropy, one sample and one row after another."""
    rows = [*memory.prototypes, *memory.queue]
    filled = [*memory.prototypes_filled, *memory.queue_filled]
    terms = []
    for feature, person in zip(x, person_ids.tolist()):
        masked = memory.unfilled == 'mask'
        if person < 0 or (masked and not filled[person]):
            continue
        total = 0.0
        for row, is_filled in zip(rows, filled):
            if is_filled or not masked:
                total = total + ((feature * row).sum() / temperature).exp()
        own = (feature * rows[person]).sum() / temperature
        terms.append(total.log() - own)
    return sum(terms) / max(len(terms), 1), len(terms)


@pytest.mark.parametrize('unfilled', ['zero', 'mask'])
@given(
    person_ids=st.lists(st.integers(-1, 3), min_size=1, max_size=9),
    temperature=st.sampled_from([1 / 30, 0.2]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_value_and_gradient(unfilled, person_ids, temperature, seed):
    memory = seen_memory(unfilled)
    person_ids = torch.tensor(person_ids)
    x = unit(len(person_ids), seed=seed).requires_grad_()
    loss = OIMLoss(temperature)(memory(x), person_ids)
    (grad,) = torch.autograd.grad(loss, x)
    expected, count = loop_loss(memory, x, person_ids, temperature)
    if not count:
        assert loss.item() == 0
        assert not grad.any()
        return
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
    (expected_grad,) = torch.autograd.grad(expected, x)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-6, atol=1e-9)
    assert not grad[person_ids < 0].any()


def focal_loop_loss(memory, x, person_ids, temperatures, gamma):
    """Focal OIM, one sample and one row after another; mean of labelled."""
    total, count = 0 * x.sum(), 0
    for feature, person in zip(x, person_ids.tolist()):
        if person < 0:
            continue
        logits = [
            *((feature * row).sum() / temperatures[0]
              for row in memory.prototypes),
            *((feature * row).sum() / temperatures[1] for row in memory.queue),
        ]  # fmt: skip
        p = logits[person].exp() / sum(logit.exp() for logit in logits)
        total = total - (1 - p) ** gamma * p.log()
        count += 1
    return total / max(count, 1)


@pytest.mark.parametrize('shared', [False, True])
@given(
    person_ids=st.lists(st.integers(-1, 3), min_size=1, max_size=9),
    temperatures=st.sampled_from([(1 / 15, 1 / 10), (0.1, 0.3), (0.2, 0.2)]),
    gamma=st.sampled_from([1.0, 1.5, 2.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, derandomize=True, deadline=None)
def test_focal_and_temperature_of_the_queue(
    shared, person_ids, temperatures, gamma, seed
):
    memory = seen_memory()
    person_ids = torch.tensor(person_ids)
    x = unit(len(person_ids), seed=seed).requires_grad_()
    temperature, queue_temperature = temperatures
    loss = OIMLoss(
        temperature, gamma=gamma, queue_temperature=queue_temperature
    )(memory(x, shared), person_ids)
    want = focal_loop_loss(memory, x, person_ids, temperatures, gamma)
    torch.testing.assert_close(loss, want, rtol=1e-6, atol=1e-12)
    grads = [torch.autograd.grad(value, x)[0] for value in (loss, want)]
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('kind', [OIMLoss, FCLoss, BOIMLoss, HOIMLoss])
def test_a_queue_temperature_equal_to_the_other_changes_nothing(kind):
    memory, ids = seen_memory(), torch.tensor([0, 3, -1, 2])
    x = unit(4)
    want = kind(temperature=0.1)(memory(x), ids)
    got = kind(temperature=0.1, queue_temperature=0.1)(memory(x), ids)
    torch.testing.assert_close(got, want)
    other = kind(temperature=0.1, queue_temperature=0.05)(memory(x), ids)
    assert not torch.allclose(other, want)


@pytest.mark.parametrize(
    ('options', 'fault'),
    [
        (dict(queue_temperature=0.0), 'queue_temperature must be positive'),
        (dict(gamma=0.5), 'gamma must be None or at least 1'),
        (dict(gamma=float('nan')), 'gamma must be None or at least 1'),
    ],
)
def test_refuses_options_of_the_focal_loss(options, fault):
    with pytest.raises(ValueError, match=fault):
        OIMLoss(**options)


@given(
    person_ids=st.lists(st.integers(-1, 3), max_size=9),
    valid=st.none() | st.lists(st.booleans(), min_size=6, max_size=6),
    temperature=st.sampled_from([1 / 30, 0.2]),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_in_place_softmax_equals_the_plain_one(
    person_ids, valid, temperature, seed
):
    x = unit(len(person_ids), seed=seed).requires_grad_()
    rows = unit(6, seed=seed + 1)
    ids = torch.tensor(person_ids, dtype=torch.long)
    valid = None if valid is None else torch.tensor(valid)
    got, counted = memory_cross_entropy(x, rows, ids, temperature, valid)
    want, want_counted = oim_loss(x @ rows.T / temperature, ids, valid)
    assert torch.equal(counted, want_counted)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
    weights = torch.rand(len(ids), dtype=torch.float64)
    (grad,) = torch.autograd.grad(got @ weights, x, retain_graph=True)
    (want_grad,) = torch.autograd.grad(want @ weights, x)
    torch.testing.assert_close(grad, want_grad, rtol=1e-9, atol=1e-12)
    # What was kept for the first pass is as it was.
    (again,) = torch.autograd.grad(got @ weights, x)
    assert torch.equal(again, grad)


@pytest.mark.parametrize('kind', [OIMLoss, FCLoss, BOIMLoss])
@pytest.mark.parametrize('unfilled', ['zero', 'mask'])
def test_mean_over_people_counts_unlabelled_ones(kind, unfilled):
    memory, person_ids = seen_memory(unfilled), torch.tensor([0, 3, -1, 2, -1])
    x = unit(5)
    counted = 3 if unfilled == 'zero' else 2  # id 2 has no prototype yet
    labelled, people = (
        kind(mean_over=mean)(memory(x), person_ids)
        for mean in ('labelled', 'people')
    )
    assert labelled > 0
    torch.testing.assert_close(people, labelled * counted / 5)
    nobody = torch.full((5,), -1)
    assert kind(mean_over='people')(memory(x), nobody) == 0
    with pytest.raises(ValueError, match="mean_over must be 'labelled' or"):
        kind(mean_over='everybody')


def test_far_apart_logits_neither_overflow_nor_vanish():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    loss, _ = memory_cross_entropy(x, rows, torch.tensor([0, 0]), 1e-4)
    assert loss.tolist() == [0, 20_000]
    loss.sum().backward()
    assert x.grad.tolist() == [[0, 0], [-20_000, 0]]


def test_gradient_under_autocast_is_that_without():
    x = unit(5, dtype=torch.float32).requires_grad_()
    rows, ids = unit(6, seed=1, dtype=torch.float32), torch.arange(5)
    grads = []
    for enabled in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            loss, _ = memory_cross_entropy(x, rows, ids, 0.1)
            grads += torch.autograd.grad(loss.sum(), x)
    assert torch.equal(*grads)


@pytest.mark.parametrize('shared', [False, True])
def test_the_same_with_shared_cosines(shared):
    memory, person_ids = seen_memory(), torch.tensor([0, 3, -1, 2, 0])
    x = unit(5).requires_grad_()
    loss = OIMLoss(0.1)(memory(x, shared), person_ids)
    expected, _ = loop_loss(memory, x, person_ids, 0.1)
    torch.testing.assert_close(loss, expected)
    grads = [torch.autograd.grad(v, x)[0] for v in (loss, expected)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('asked_first', [False, True])
def test_labelled_people_and_one_array_whoever_asked_first(asked_first):
    person_ids = torch.tensor([0, 3, -1, 2, -1])
    readout = seen_memory()(unit(5))
    if asked_first:
        readout.cosine  # noqa: B018
    real = oim_module.memory_cross_entropy
    with mock.patch.object(
        oim_module, 'memory_cross_entropy', side_effect=real
    ) as in_place:
        OIMLoss()(readout, person_ids)
    assert [len(call.args[0]) for call in in_place.call_args_list] == [3]


def test_shared_cosines_are_taken_once_for_everybody():
    readout = seen_memory()(unit(5), shared=True)
    with (
        mock.patch.object(oim_module, 'memory_cross_entropy') as in_place,
        mock.patch.object(
            readout_module, '_product', side_effect=readout_module._product
        ) as product,
    ):
        OIMLoss()(readout, torch.tensor([0, 3, -1, 2, -1]))
        assert readout.cosine.shape == (5, 8)
    assert not in_place.called
    assert product.call_count == 1


@pytest.mark.parametrize(
    ('loss', 'expected'),
    [
        (OIMLoss(), False),
        (OIMLoss(margin=dict(m2=0.1)), True),
        (FCLoss(), True),
        (BOIMLoss(), True),
        (HOIMLoss(), True),
        (SoftLabelLoss(), True),
        (PrototypeGuidanceLoss(), False),
        (None, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_declare_whether_they_need_cosines(loss, expected):
    assert needs_cosines(loss) is expected
    assert needs_cosines(None, loss) is expected


def test_gradcheck():
    memory = seen_memory()
    person_ids = torch.tensor([0, 3, -1, 2, 0])
    x = unit(5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: OIMLoss(0.1)(memory(x), person_ids), x
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_low_precision_features(dtype):
    memory = seen_memory().float()
    person_ids = torch.tensor([0, 3, -1, 2, 0])
    x = unit(5, dtype=dtype).requires_grad_()
    loss = OIMLoss()(memory(x), person_ids)
    expected = OIMLoss()(memory(x.float()), person_ids)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    loss.backward()
    assert x.grad.dtype == dtype


def test_float32_under_autocast():
    memory = seen_memory().float()
    person_ids = torch.tensor([0, 3, -1, 2, 0])
    x = unit(5, dtype=torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = OIMLoss()(memory(x), person_ids)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, OIMLoss()(memory(x), person_ids))


def test_empty_memory_is_uniform():
    memory = IdentityMemory(3, 8, queue_size=5)
    x = unit(2, dtype=torch.float32)
    loss = OIMLoss()(memory(x), torch.tensor([0, 2]))
    assert loss.item() == pytest.approx(math.log(8))


@pytest.mark.parametrize('unfilled', ['zero', 'mask'])
@pytest.mark.parametrize('ids', [[], [-1, -1]])
def test_nothing_labelled_is_a_zero_in_the_graph(unfilled, ids):
    for memory in (
        seen_memory(unfilled),
        IdentityMemory(4, 8, queue_size=4, unfilled=unfilled),
    ):
        x = unit(len(ids)).requires_grad_()
        loss = OIMLoss()(memory(x), torch.tensor(ids, dtype=torch.long))
        assert loss.item() == 0
        with torch.autograd.detect_anomaly(check_nan=True):
            loss.backward()
        assert x.grad.shape == x.shape
        assert not x.grad.any()


def test_own_prototype_masked_out():
    memory = seen_memory('mask')
    x = unit(3).requires_grad_()
    loss = OIMLoss()(memory(x), torch.tensor([2, 1, 2]))
    alone = OIMLoss()(memory(x[1:2]), torch.tensor([1]))
    torch.testing.assert_close(loss, alone)
    loss.backward()
    assert x.grad.isfinite().all()
    assert not x.grad[[0, 2]].any()


def test_avg_factor_and_weight():
    memory = seen_memory()
    person_ids = torch.tensor([0, 3, -1, 2, 0])
    readout = memory(unit(5))
    total = OIMLoss()(readout, person_ids) * 4
    for factor in (10, 10.0, torch.tensor(10.0)):
        loss = OIMLoss(loss_weight=3.0)(readout, person_ids, factor)
        torch.testing.assert_close(loss, total * 0.3, rtol=1e-6, atol=0)
    none = OIMLoss()(memory(unit(1)), torch.tensor([-1]), avg_factor=0)
    assert none.item() == 0


def test_survives_the_update_before_backward():
    memory = seen_memory()
    person_ids = torch.tensor([0, 3, -1, 2, 0])
    grads = []
    for early in (False, True):
        x = unit(5).requires_grad_()
        loss = OIMLoss()(memory(x), person_ids)
        if early:
            memory.update(x, person_ids)
        loss.backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_functional_values_per_sample():
    cosine = unit(3, 5)
    loss, counted = oim_loss(cosine * 2, torch.tensor([4, -1, 0]))
    expected = -F.log_softmax(cosine * 2, dim=1)
    torch.testing.assert_close(loss[0], expected[0, 4])
    torch.testing.assert_close(loss[2], expected[2, 0])
    assert loss[1].item() == 0
    assert counted.tolist() == [True, False, True]


def test_an_id_never_hits_a_queue_column():
    # 483 people against 482 prototypes: the trap of the published code.
    memory = seen_memory()
    with pytest.raises(ValueError, match=r'person id 4 is outside 0\.\.3'):
        OIMLoss()(memory(unit(2)), torch.tensor([0, 4]))
    # On an accelerator the ids are not looked at beforehand.
    with (
        mock.patch.object(oim_module, 'check_person_ids'),
        pytest.raises(RuntimeError, match='index 8 is out of bounds'),
    ):
        OIMLoss()(memory(unit(2)), torch.tensor([0, 4]))


def test_bad_input():
    readout = seen_memory()(unit(2))
    with pytest.raises(ValueError, match=r'shape \(2,\), got \(3,\)'):
        OIMLoss()(readout, torch.tensor([0, 1, 2]))
    with pytest.raises(TypeError, match='must be integers'):
        OIMLoss()(readout, torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match='temperature must be positive'):
        OIMLoss(temperature=0)


def test_builds_from_a_config():
    loss = MODELS.build(dict(type='mmps.OIMLoss', loss_weight=0.5))
    assert (loss.temperature, loss.loss_weight) == (1 / 30, 0.5)
    assert not list(loss.state_dict())


def test_margin_without_values_is_none():
    assert OIMLoss(margin={}).margin == (1.0, 0.0)
