"""Mixed precision without a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from torch import nn

from mmps.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """Train under bfloat16 autocast, on the CPU or on a GPU.

    mmengine's ``AmpOptimWrapper`` refuses to run without a GPU because of
    its loss scaler. bfloat16 has the range of float32 and needs no scaling,
    so this one is the plain wrapper with autocast around the forward pass.

    Args:
        kwargs: As for ``OptimWrapper``: optimizer, clip_grad,
            accumulative_counts.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter autocast, and what gradient accumulation asks for.

        Args:
            model: The model that is trained.
        """
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
