"""Unpickling of plain values, arrays and tensors, and of nothing else.

Python's unpickler with closed lists of opcodes, of names and of types that
can be filled. Names are not imported: each stands for a value, or for a
function that checks its arguments. The base is the unpickler written in
Python: the one in C lets a subclass restrict names only, and a file could
still set attributes of the named objects or call their methods.
"""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn
from torch.serialization import StorageType
from torch.storage import TypedStorage, UntypedStorage

# Of protocol 2, what torch.save and Python 2 write; none imports or calls
# anything but through the methods below.
_OPCODES = (
    'PROTO', 'STOP', 'MARK', 'NONE', 'NEWFALSE', 'NEWTRUE', 'BININT',
    'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'BINSTRING',
    'SHORT_BINSTRING', 'EMPTY_TUPLE', 'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3',
    'EMPTY_LIST', 'APPEND', 'APPENDS', 'EMPTY_DICT', 'SETITEM', 'SETITEMS',
    'BINGET', 'LONG_BINGET', 'BINPUT', 'LONG_BINPUT', 'BINPERSID', 'GLOBAL',
    'REDUCE', 'NEWOBJ', 'BUILD',
)  # fmt: skip
_NUMBERS = (
    'bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64',
    'int64', 'float16', 'float32', 'float64',
)  # fmt: skip
_CODES = [np.dtype(name).str[1:] for name in _NUMBERS]


class RefusedError(pickle.UnpicklingError):
    """A file holds something that is not on the list; the message: what."""


class _Maker:
    """The only kind of object that a file can call."""

    __slots__ = ('make',)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise RefusedError(what)


# -- makers ----------------------------------------------------------------
def _bytes(text: str = '', encoding: str = 'latin1') -> bytes:
    _require(type(text) is str and encoding in ('latin1', 'latin-1'), 'bytes')
    return text.encode('latin1')


def _bytearray(data: bytes | str = b'', *encoding: str) -> bytearray:
    if type(data) is not bytes:
        data = _bytes(data, *encoding)
    return bytearray(data)


def _history_method(owner: Any, name: str) -> None:
    """Stand in for ``getattr``, which could reach anything.

    A HistoryBuffer's methods are stored with it, and not needed.
    """
    known = ('max', 'min', 'mean', 'current', 'statistics')
    _require(owner is _HISTORY and name in known, f'getattr of {name!r}')


def _dtype(code: str, *_: Any) -> np.dtype:
    _require(code in _CODES, f'numpy.dtype of {code!r}')
    return np.dtype(code, copy=True)


def _scalar(dtype: np.dtype, raw: bytes) -> np.generic:
    _require(isinstance(dtype, np.dtype) and type(raw) is bytes, 'a scalar')
    (value,) = np.frombuffer(raw, dtype)
    return value


def _array(kind: Any, *_: Any) -> np.ndarray:
    _require(kind is np.ndarray, 'a kind of numpy.ndarray')
    return np.empty(0, np.uint8)


def _tensor(
    storage: TypedStorage,
    offset: int,
    size: tuple,
    stride: tuple,
    requires_grad: bool = False,
    hooks: Any = None,
    metadata: Any = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    _require(type(storage) is TypedStorage, 'a tensor without storage')
    # Bits of lazy conjugation and negation.
    _require(not metadata, 'metadata of a tensor')
    data = storage._untyped_storage
    tensor = torch.empty(0, dtype=dtype or storage.dtype, device=data.device)
    # Raises beyond the storage; set_ would have it grow.
    tensor.set_(data).as_strided(size, stride, offset)
    tensor.set_(data, offset, size, stride)
    return tensor.requires_grad_(requires_grad)


def _tensor_v3(*args: Any) -> Tensor:
    """Of a dtype that has no storages of its own."""
    return _tensor(*args[:6], *args[7:], dtype=args[6])


def _parameter(
    data: Tensor, requires_grad: bool = True, hooks: Any = None
) -> nn.Parameter:
    _require(type(data) is Tensor, 'a parameter without tensor')
    return nn.Parameter(data, requires_grad)


# -- filling of the objects that makers return -----------------------------
def _fill_dict(target: OrderedDict, state: dict) -> None:
    _require(type(state) is dict, 'attributes of a dict')
    vars(target).update(state)  # `_metadata` of state dicts


def _fill_dtype(target: np.dtype, state: tuple) -> None:
    order = state[1]
    _require(order in ('<', '>', '|', '='), 'an order of bytes')
    target.__setstate__((3, order, None, None, None, -1, -1, 0))


def _fill_array(target: np.ndarray, state: tuple) -> None:
    _, shape, dtype, fortran, raw = state
    _require(isinstance(dtype, np.dtype) and type(raw) is bytes, 'an array')
    # numpy compares the length.
    target.__setstate__((1, shape, dtype, fortran, raw))


def _fill_history(target: HistoryBuffer, state: dict) -> None:
    # Its own __setstate__ changes the methods of all buffers there are.
    log, count = state['_log_history'], state['_count_history']
    _require(type(log) is type(count) is np.ndarray, 'a HistoryBuffer')
    target.__init__(log, count, state['max_length'])


def _fill_parameter(target: nn.Parameter, state: tuple) -> None:
    """As torch wrote it before 0.4."""
    requires_grad, _, _ = state
    target.requires_grad_(requires_grad)


_FILLERS = {
    OrderedDict: _fill_dict,
    np.dtype: _fill_dtype,
    np.ndarray: _fill_array,
    HistoryBuffer: _fill_history,
    nn.Parameter: _fill_parameter,
}
_HISTORY = _Maker(lambda: HistoryBuffer())
_NAMES: dict[str, Any] = {
    'builtins.bytearray': _Maker(_bytearray),
    'builtins.bytes': _Maker(_bytes),  # none: of an empty array
    'builtins.complex': _Maker(complex),
    'builtins.getattr': _Maker(_history_method),
    'builtins.set': _Maker(set),
    '_codecs.encode': _Maker(_bytes),
    'collections.Counter': _Maker(Counter),
    'collections.OrderedDict': _Maker(OrderedDict),
    'mmengine.logging.history_buffer.HistoryBuffer': _HISTORY,
    'numpy.dtype': _Maker(_dtype),
    'numpy.ndarray': np.ndarray,
    # Of numpy 1 and 2.
    'numpy.core.multiarray._reconstruct': _Maker(_array),
    'numpy.core.multiarray.scalar': _Maker(_scalar),
    'numpy._core.multiarray._reconstruct': _Maker(_array),
    'numpy._core.multiarray.scalar': _Maker(_scalar),
    'torch.Size': _Maker(torch.Size),
    'torch.device': _Maker(torch.device),
    'torch.nn.parameter.Parameter': _Maker(_parameter),
    'torch.storage.UntypedStorage': UntypedStorage,
    'torch._utils._rebuild_parameter': _Maker(_parameter),
    'torch._utils._rebuild_tensor': _Maker(_tensor),
    'torch._utils._rebuild_tensor_v2': _Maker(_tensor),
    'torch._utils._rebuild_tensor_v3': _Maker(_tensor_v3),
    **{
        f'torch.{name}': value
        for name, value in vars(torch).items()
        if isinstance(value, torch.dtype)
    },
}


class ClosedUnpickler(pickle._Unpickler):
    """Reads one pickle; see the module."""

    # Bytes that the storage of a key may have.
    limit: Callable[[Any], int]

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the list."""
        module = {'__builtin__': 'builtins'}.get(module, module)
        full = f'{module}.{name}'
        _require(full in _NAMES, full.removeprefix('builtins.'))
        return _NAMES[full]

    def load_reduce(self) -> None:
        """Call a maker."""
        args = self.stack.pop()
        maker = self.stack[-1]
        _require(type(maker) is _Maker, f'call of {type(maker).__name__}')
        self.stack[-1] = maker.make(*args)

    def load_build(self) -> None:
        """Fill what a maker has made."""
        state = self.stack.pop()
        target = self.stack[-1]
        kind = np.dtype if isinstance(target, np.dtype) else type(target)
        _require(kind in _FILLERS, f'state of {kind.__name__}')
        _FILLERS[kind](target, state)

    def load_binpersid(self) -> None:
        """Get a storage, which torch finds in the file."""
        saved = self.stack.pop()
        word, kind, key, _, length = saved[:5]
        _require(
            word in ('storage', b'storage')
            and (kind is UntypedStorage or type(kind) is StorageType),
            'a reference to something else than a storage',
        )
        dtype = torch.uint8 if kind is UntypedStorage else kind.dtype
        size = dtype.itemsize
        # Older torch reads on behind a shorter record.
        if not 0 <= length * size <= type(self).limit(key):
            raise ValueError(f'damaged: storage {key} is shorter')
        self.append(self.persistent_load(saved))


class _Opcodes(dict):
    def __missing__(self, code: int) -> Any:
        raise RefusedError(f'pickle opcode {code}')


_CODES_OF = {name: getattr(pickle, name)[0] for name in _OPCODES}
ClosedUnpickler.dispatch = _Opcodes(
    {code: pickle._Unpickler.dispatch[code] for code in _CODES_OF.values()}
)
ClosedUnpickler.dispatch.update(
    {
        _CODES_OF['REDUCE']: ClosedUnpickler.load_reduce,
        _CODES_OF['NEWOBJ']: ClosedUnpickler.load_reduce,
        _CODES_OF['BUILD']: ClosedUnpickler.load_build,
        _CODES_OF['BINPERSID']: ClosedUnpickler.load_binpersid,
    }
)


def closed_pickle(limit: Callable[[Any], int]) -> SimpleNamespace:
    """A ``pickle_module`` for ``torch.load``.

    Args:
        limit: Gets a storage's key; returns how many bytes it may have.

    Returns:
        What torch uses of such a module. It raises :class:`RefusedError` for
        what is not on the list.
    """
    kind = type('Unpickler', (ClosedUnpickler,), dict(limit=limit))
    return SimpleNamespace(
        __name__=__name__,
        Unpickler=kind,
        load=lambda file, **options: kind(file, **options).load(),
    )
