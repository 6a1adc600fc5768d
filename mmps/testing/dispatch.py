"""The torch operators that some code runs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operators whose result, or its size, is a number that the host reads.
_WAITS = {
    'aten::_local_scalar_dense',
    'aten::_unique2',
    'aten::bincount',
    'aten::equal',
    'aten::masked_select',
    'aten::nonzero',
    'aten::repeat_interleave',
    'aten::unique_consecutive',
    'aten::unique_dim',
}
_INDEXES = {'aten::index', 'aten::index_put', 'aten::index_put_'}


class DispatchedOperators(TorchDispatchMode):
    """Counts the operators of a block, to predict a GPU's work without one.

    Attributes:
        counts: How often each operator was called, by name ('aten::mm').
        launches: Calls that are not views; each is one kernel or more.
        waits: Calls for which the host would wait for a GPU: numbers and
            results of unknown size. Waits without an operator, such as
            ``tolist`` and copies to the host, are not seen on a CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.launches = 0
        self.waits = 0

    def __torch_dispatch__(
        self,
        func: Callable,
        types: tuple,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = func._schema.name
        self.counts[name] += 1
        aliases = [r.alias_info for r in func._schema.returns]
        self.launches += not any(a and not a.is_write for a in aliases)
        self.waits += name in _WAITS or (
            name in _INDEXES and any(map(_is_mask, args[1]))
        )
        return func(*args, **(kwargs or {}))


def _is_mask(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)
