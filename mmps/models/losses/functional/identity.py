"""Losses on the similarities of embeddings to the identity memory."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...utils.precision import precise

# Closer to 1 the slope of the arc cosine is infinite.
_MAX_COSINE = 1 - 1e-7


def oim_loss(
    logits: Tensor,
    person_ids: Tensor,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Cross-entropy of the true identity over the memory.

    ``-log softmax(logits)[person id]`` for labelled samples, 0 for the
    others.

    Source: Xiao et al., "Joint Detection and Identification Feature Learning
    for Person Search", CVPR 2017, eq. 1 and 3.

    >>> import torch
    >>> from mmps.models.losses.functional import oim_loss
    >>> loss, counted = oim_loss(torch.zeros(2, 4), torch.tensor([1, -1]))
    >>> round(loss[0].item(), 4), counted.tolist()  # log 4
    (1.3863, [True, False])

    Args:
        logits: (N, C) products of the unit embeddings with the C memory
            rows, prototypes first, by the temperature.
        person_ids: (N,) int64 contiguous ids, -1 for unlabelled.
        valid: (C,) bool, columns that take part; None for all. A sample
            whose own column takes no part has no loss.

    Returns:
        (N,) losses and (N,) bool mask of the samples that have one.
    """
    logits = precise(logits)
    counted = _counted(person_ids, valid)
    if valid is not None:
        # Not -inf: without any valid column the softmax would be NaN.
        logits = logits.masked_fill(~valid, torch.finfo(logits.dtype).min)
    loss = F.cross_entropy(
        logits,
        person_ids.masked_fill(~counted, -1),
        ignore_index=-1,
        reduction='none',
    )
    return loss, counted


def memory_cross_entropy(
    x: Tensor,
    rows: Tensor,
    person_ids: Tensor,
    temperature: float | Tensor,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""``oim_loss(x @ rows.T / temperature, ...)`` with little memory.

    Of the (N, C) similarities one array is held, from which the softmax is
    taken in its place; the operators of :func:`oim_loss` hold four. The
    gradient is that with respect to the embeddings, and of first order.

    Args:
        x: (N, D) unit embeddings.
        rows: (C, D) memory rows, prototypes first.
        person_ids: See :func:`oim_loss`.
        temperature: Of the softmax; or (C,), of each row.
        valid: See :func:`oim_loss`.

    Returns:
        See :func:`oim_loss`.
    """
    dtype = torch.promote_types(precise(x).dtype, rows.dtype)
    counted = _counted(person_ids, valid)
    with torch.autocast(x.device.type, enabled=False):
        x, rows = x.to(dtype), rows.to(dtype)
        if isinstance(temperature, Tensor):
            rows = rows / temperature[:, None]
        else:
            x = x / temperature
        loss = _MemoryCrossEntropy.apply(
            x,
            rows,
            person_ids.clamp(min=0),
            valid,
        )
    return loss.masked_fill(~counted, 0), counted


def _counted(person_ids: Tensor, valid: Tensor | None) -> Tensor:
    """Labelled samples whose own column takes part."""
    counted = person_ids >= 0
    if valid is None:
        return counted
    return counted & valid[person_ids.clamp(min=0)]


class _MemoryCrossEntropy(torch.autograd.Function):
    """Cross-entropy of ``x @ rows.T``; a gradient for x only."""

    @staticmethod
    def forward(ctx, x, rows, person_ids, valid):
        exps = x @ rows.T
        if valid is not None:
            # Not -inf: without any valid column the softmax would be NaN.
            exps.masked_fill_(~valid, torch.finfo(exps.dtype).min)
        exps -= exps.amax(1, keepdim=True)
        own = exps.gather(1, person_ids[:, None]).squeeze(1)
        total = exps.exp_().sum(1)
        ctx.save_for_backward(exps, total, rows, person_ids)
        return total.log() - own

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        exps, total, rows, person_ids = ctx.saved_tensors
        with torch.autocast(exps.device.type, enabled=False):
            mean = exps @ rows / total[:, None]
        grad = (mean - rows[person_ids]) * grad[:, None]
        return grad, None, None, None


def with_margin(
    cosine: Tensor,
    person_ids: Tensor,
    filled: Tensor,
    m1: float,
    m2: float,
) -> Tensor:
    r"""The true identity's cosine replaced by its :func:`angular_margin`.

    An unfilled prototype has no angle and keeps its logit of 0.

    Source: Hou et al., "Improved Instance Discrimination and Feature
    Compactness for End-to-End Person Search" (IIDFC), eq. 13.

    Args:
        cosine: (N, C) similarities, prototypes first.
        person_ids: (N,) int64 contiguous ids, -1 for unlabelled.
        filled: (C,) bool, rows that hold a feature.
        m1: Factor of the angle.
        m2: Addend, in radians.

    Returns:
        (N, C).
    """
    cosine = precise(cosine)
    own = person_ids.clamp(min=0)[:, None]
    plain = cosine.gather(1, own)
    eased = angular_margin(plain, m1, m2)
    return cosine.scatter(1, own, torch.where(filled[own], eased, plain))


def angular_margin(cosine: Tensor, m1: float, m2: float) -> Tensor:
    r"""``cos(m1 theta + m2)`` of the angle whose cosine is given.

    Where ``m1 theta + m2`` passes pi the cosine would rise again; there the
    value goes on falling like ``cos(theta)``, without a step.

    Source: IIDFC, Table I and eq. 13; m1 = 1 is ArcFace, m2 = 0 SphereFace.

    Args:
        cosine: Cosines of any shape; those beyond +-(1 - 1e-7) are clamped.
        m1: Factor of the angle.
        m2: Addend, in radians.

    Returns:
        The same shape.
    """
    cosine = precise(cosine).clamp(-_MAX_COSINE, _MAX_COSINE)
    eased = (m1 * cosine.acos() + m2).cos()
    last = (math.pi - m2) / m1
    if last >= math.pi:
        return eased
    turn = math.cos(last)
    return torch.where(cosine >= turn, eased, cosine - turn - 1)


def softmax_focal_loss(
    cross_entropy: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    r"""``alpha (1 - p)^gamma (-log p)`` from ``-log p``, of any shape.

    Source: Lin et al., "Focal Loss for Dense Object Detection", eq. 5, with
    one alpha for all classes as in HOIM.
    """
    # expm1: without it the gradient of (1 - p)^gamma is noise near p = 1.
    missed = -torch.expm1(-cross_entropy)
    return alpha * missed.clamp(min=0) ** gamma * cross_entropy


def person_logits(
    cosine: Tensor,
    valid: Tensor | None,
    background: Tensor,
    background_valid: Tensor | None,
    temperature: float = 1 / 30,
) -> Tensor:
    r"""Logits of "a person" and "background" from the memory (HOIM).

    One softmax over [background | prototypes | queue]; the probability of a
    person is the sum over prototypes and queue. The two log-sums are the
    logits whose softmax gives that.

    Source: Chen et al., "Hierarchical Online Instance Matching for Person
    Search" (HOIM), AAAI 2020.

    Args:
        cosine: (N, C) similarities to prototypes and queue.
        valid: (C,) bool, columns that take part; None for all.
        background: (N, B) similarities to background features.
        background_valid: (B,) bool, or None.
        temperature: Softmax temperature. Defaults to 1/30.

    Returns:
        (N, 2) logits of person and background.
    """
    parts = []
    for part, mask in ((cosine, valid), (background, background_valid)):
        logits = precise(part) / temperature
        if mask is not None:
            # Finite: both may have no column at all.
            least = torch.finfo(logits.dtype).min / 2
            logits = logits.masked_fill(~mask, least)
        parts.append(logits.logsumexp(1))
    return torch.stack(parts, 1)


def hard_negative_loss(
    cosine: Tensor,
    person_ids: Tensor,
    filled: Tensor,
    sigma: float = 0.5,
    beta: float = 0.3,
    eps: float = 1e-6,
) -> Tensor:
    r"""Mean over the hard negatives j of ``max(v_j x - beta, 0)`` (BOIM).

    Hard is a filled prototype of another identity with ``v_j x > sigma
    max(v_t x, eps)``; without any, and for unlabelled samples, the loss is 0.

    Source: Yang et al., "Multi-task Feature Decomposition based Marginal
    Distribution for Person Search" (FDPS), eq. 9.

    Args:
        cosine: (N, L) similarities to the prototypes.
        person_ids: (N,) int64 contiguous ids, -1 for unlabelled.
        filled: (L,) bool, prototypes that hold a feature.
        sigma: Share of the own similarity that makes a negative hard.
        beta: Lower bound of the similarity that is punished.
        eps: Least own similarity, so that a negative one does not make every
            prototype hard.

    Returns:
        (N,) losses.
    """
    cosine = precise(cosine)
    own = person_ids.clamp(min=0)[:, None]
    least = sigma * cosine.detach().gather(1, own).clamp(min=eps)
    hard = (cosine.detach() > least) & filled
    hard = hard.scatter(1, own, False) & (person_ids >= 0)[:, None]
    excess = (cosine - beta).relu() * hard
    return excess.sum(1) / hard.sum(1).clamp(min=1)


@torch.no_grad()
def prototype_density(
    prototypes: Tensor,
    filled: Tensor,
    alpha: float | Literal['auto'] = 'auto',
    chunk: int = 512,
) -> Tensor:
    r"""``w = sum_ij exp(v_i v_j + alpha)`` over the filled prototypes (BOIM).

    The products are taken ``chunk`` rows at a time; an L x L matrix is never
    held. No filled prototype gives 1.

    Source: FDPS, eq. 10.

    Args:
        prototypes: (L, D) unit rows.
        filled: (L,) bool.
        alpha: ``'auto'`` is -ln of the number of terms, which makes w the
            mean of ``exp(v_i v_j)``. Defaults to 'auto'.
        chunk: Rows at a time. Defaults to 512.

    Returns:
        () w, without gradient.
    """
    with torch.autocast(prototypes.device.type, enabled=False):
        rows = precise(prototypes)
        weight = filled.to(rows.dtype)
        shift = 0.0 if alpha == 'auto' else alpha
        total = rows.new_zeros(())
        for part, own in zip(rows.split(chunk), weight.split(chunk)):
            density = (part @ rows.T).add_(shift).exp_()
            total += own @ (density @ weight)
    count = weight.sum()
    if alpha == 'auto':
        total = total / count.clamp(min=1).square()
    return torch.where(count > 0, total, torch.ones_like(total))


def soft_label_loss(
    teacher: Tensor,
    student: Tensor,
    valid: Tensor | None = None,
    temperature: float = 1 / 30,
) -> Tensor:
    r"""KL divergence of two softmaxes over the same identities (UGAS, SD).

    ``sum_c p_c log(p_c / q_c)`` with p of the teacher, who gets no gradient,
    and q of the student.

    Args:
        teacher: (N, C) similarities to the teacher's memory.
        student: (N, C) similarities to the student's memory, whose rows
            stand for the same people.
        valid: (C,) bool, columns that take part; None for all.
        temperature: Softmax temperature. Defaults to 1/30.

    Returns:
        (N,) losses.
    """
    logits = torch.stack((precise(teacher).detach(), precise(student)))
    logits = logits / temperature
    if valid is not None:
        logits = logits.masked_fill(~valid, torch.finfo(logits.dtype).min)
    log_p, log_q = logits.log_softmax(2)
    return F.kl_div(log_q, log_p, reduction='none', log_target=True).sum(1)


def batch_hard_triplet_loss(
    x: Tensor,
    person_ids: Tensor,
    candidates: Tensor,
    candidate_person_ids: Tensor,
    margin: float = 0.3,
) -> Tensor:
    r"""``max(margin + max_p |x - p| - min_n |x - n|, 0)`` of each sample.

    p are the candidates of the same person, n those of others; Euclidean
    distances. Samples without an id, or without a p or n, have loss 0.

    Source: Hermans et al., "In Defense of the Triplet Loss for Person
    Re-Identification", eq. 5.

    Args:
        x: (N, D) features.
        person_ids: (N,) int64, -1 for unlabelled.
        candidates: (M, D) features, x among them.
        candidate_person_ids: (M,) int64, theirs.
        margin: Of the distances. Defaults to 0.3.

    Returns:
        (N,) losses.
    """
    if not len(x):
        # Tied to the candidates too: they may be of another process.
        return x.sum(1) + 0 * candidates.sum()
    with torch.autocast(x.device.type, enabled=False):
        x, candidates = precise(x), precise(candidates)
        squared = x.square().sum(1)[:, None] + candidates.square().sum(1)
        squared = torch.addmm(squared, x, candidates.T, alpha=-2)
        # The slope of the root is infinite at 0.
        distance = squared.clamp(min=1e-12).sqrt()
    same = person_ids[:, None] == candidate_person_ids
    labelled = (person_ids >= 0)[:, None] & (candidate_person_ids >= 0)
    farthest = distance.masked_fill(~(same & labelled), -torch.inf).amax(1)
    nearest = distance.masked_fill(same | ~labelled, torch.inf).amin(1)
    # Without one of them the gap is -inf, which relu turns into 0.
    return (margin + farthest - nearest).relu()
