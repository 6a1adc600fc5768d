"""Batch norm in which every person counts once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce as differentiable_sum
from torch.nn.modules.batchnorm import _BatchNorm

from mmps.registry import MODELS


@MODELS.register_module()
class ProtoNorm(_BatchNorm):
    """Batch norm around the mean of the people, not of their samples.

    In a batch of RoIs few people have many samples, and background most. The
    mean is taken over prototypes, the mean feature of each labelled person;
    every unlabelled sample is a prototype of its own, and all background is
    one. The variance is that of all samples around this mean. At test it is
    batch norm with running statistics, of the same names. With several
    processes the statistics are those of all their samples.

    In training :func:`prototype_weights` have to be given by
    :func:`weighted_norms`; :class:`SearchRoIHead` does so for its shared head
    and its re-id head.

    Source: Lee et al., "OIMNet++: Prototypical Normalization and
    Localization-aware Learning for Person Search", ECCV 2022, section 3.2.

    Args:
        num_features (int): Channels C.
        eps (float): Added to the variance. Defaults to 1e-5.
        momentum (float): Share of a batch in the running statistics.
            Defaults to 0.1.
        affine (bool): Weight and bias per channel. Defaults to False.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine)
        self.sample_weights: Tensor | None = None

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() not in (2, 4):
            raise ValueError(f'ProtoNorm: expected 2 or 4 axes, got {x.dim()}')

    def forward(self, x: Tensor) -> Tensor:
        """Normalise.

        Args:
            x: (N, C) or (N, C, H, W) of N samples.

        Returns:
            The same shape and dtype.

        Raises:
            RuntimeError: In training, nobody has said whose samples they are.
        """
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        if self.sample_weights is None:
            raise RuntimeError(
                'ProtoNorm: in training it has to know whose samples it '
                'gets; use it in the shared head or re-id head of a '
                'SearchRoIHead, or give the weights by weighted_norms'
            )
        with torch.autocast(x.device.type, enabled=False):
            return self._normalise(x.float()).to(x.dtype)

    def _normalise(self, x: Tensor) -> Tensor:
        flat = x.flatten(2) if x.dim() == 4 else x[:, :, None]
        count = _sum(flat.new_full((), flat[:, 0].numel()))
        # Fewer values have no variance: the running statistics stay.
        enough = count > 1
        weights = self.sample_weights.to(flat)[:, None]
        mean = _sum((weights * flat.mean(2)).sum(0))
        mean = torch.where(enough, mean, self.running_mean)
        centred = flat - mean[:, None]
        variance = _sum(centred.square().sum((0, 2))) / count.clamp(min=1)
        variance = torch.where(enough, variance, self.running_var)
        with torch.no_grad():
            share = self.momentum * enough
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_mean += share * (mean - self.running_mean)
            self.running_var += share * (unbiased - self.running_var)
            self.num_batches_tracked += enough
        out = centred * (variance + self.eps).rsqrt()[:, None]
        if self.affine:
            out = out * self.weight[:, None] + self.bias[:, None]
        return out.reshape(x.shape)


def prototype_weights(
    count: int,
    people: Tensor,
    person_ids: Tensor,
    num_ids: int,
) -> Tensor:
    """Weights of samples in the mean of prototypes; the rest is background.

    With several processes every one must call it; the weights of all their
    samples sum to 1.

    Args:
        count: Number of samples N of this process.
        people: (P,) indices of samples that are people.
        person_ids: (P,) their contiguous ids, -1 for unlabelled.
        num_ids: Number of labelled people L.

    Returns:
        (N,) fp32.
    """
    # Row L is background, row L + 1 the unlabelled.
    group = torch.where(person_ids < 0, num_ids + 1, person_ids)
    rows = torch.full((count,), num_ids, device=people.device)
    rows[people] = group
    ones = torch.ones(count, device=people.device)
    sizes = ones.new_zeros(num_ids + 2).index_add_(0, rows, ones)
    if get_world_size() > 1:
        all_reduce(sizes, 'sum')
    unlabelled = sizes[num_ids + 1]
    prototypes = (sizes[: num_ids + 1] > 0).sum() + unlabelled
    size = sizes[rows].masked_fill(rows == num_ids + 1, 1)
    return 1 / (size * prototypes.clamp(min=1))


@contextmanager
def weighted_norms(
    modules: Sequence[nn.Module], weights: Tensor
) -> Iterator[None]:
    """Tell every :class:`ProtoNorm` in some modules whose samples it gets.

    Args:
        modules: Where to look.
        weights: (N,) of :func:`prototype_weights`.
    """
    norms = [
        norm
        for module in modules
        for norm in module.modules()
        if isinstance(norm, ProtoNorm)
    ]
    for norm in norms:
        norm.sample_weights = weights
    try:
        yield
    finally:
        for norm in norms:
            norm.sample_weights = None


def has_proto_norm(modules: Sequence[nn.Module]) -> bool:
    """Whether :func:`weighted_norms` finds any.

    Args:
        modules: Where to look.
    """
    return any(
        isinstance(part, ProtoNorm)
        for module in modules
        for part in module.modules()
    )


def _sum(x: Tensor) -> Tensor:
    """Of all processes, with the gradient of what all make of it."""
    return differentiable_sum(x) if get_world_size() > 1 else x
