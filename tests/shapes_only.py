"""Networks built on the meta device: shapes and keys, but no values."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _RatesOnCPU(TorchFunctionMode):
    """Backbones read the values of a linspace, their drop path rates."""

    def __torch_function__(
        self,
        func: Callable,
        types: Iterable[type],
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        """Call a function of torch."""
        kwargs = kwargs or {}
        if func is torch.linspace:
            kwargs = {**kwargs, 'device': 'cpu'}
        return func(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """In it, weights take neither memory nor random numbers."""
    with torch.device('meta'), _RatesOnCPU():
        yield
