"""Optimizers in the fastest form that a device has."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mmps.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class FusedAdamW(torch.optim.AdamW):
    """torch's AdamW, as one kernel where torch has it.

    That is on GPUs, and on CPUs from torch 2.4 on. Elsewhere ``fused=True``
    is an error in torch, also in the state of a training that is resumed.

    Args:
        params: Parameters, or dicts of them and options.
        **options: Of ``torch.optim.AdamW`` but ``fused``.
    """

    def __init__(
        self, params: Iterable[Tensor | dict], **options: Any
    ) -> None:
        super().__init__(params, **options)
        self._choose()

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a state, in the form that is possible here."""
        super().load_state_dict(state_dict)
        self._choose()

    def _choose(self) -> None:
        for group in self.param_groups:
            devices = {x.device for x in group['params']}
            group['fused'] = all(has_kernel(device) for device in devices)


@cache
def has_kernel(device: torch.device) -> bool:
    """Whether torch has AdamW as one kernel for a device."""
    x = torch.zeros(1, device=device, requires_grad=True)
    x.grad = torch.zeros_like(x)
    try:
        torch.optim.AdamW([x], fused=True).step()
    except RuntimeError:
        return False
    return True
