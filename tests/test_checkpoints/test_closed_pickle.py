"""Tests of the closed unpickler: hand-made pickles are refused."""

import copyreg
import io
import pickle
import tarfile
import threading
import warnings
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmps.checkpoints.closed_pickle import ClosedUnpickler, RefusedError
from mmps.checkpoints.plain_load import load_plain

from bad_checkpoints import write_bad_checkpoint

BUFFER = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
EMPTY_BUFFER = BUFFER + b')\x81'
SLOTS = b'N}X\4\0\0\0meanK\1s\x86'  # (None, {'mean': 1}), as a state
PYTHON_2 = (
    b'}q\x01(U\x01cc__builtin__\ncomplex\nq\x02G\0\0\0\0\0\0\0\0G?\xf0\0\0\0\0'
    b'\0\0\x86Rq\x03U\x03bigq\x04T,\x01\0\0' + b'x' * 300 + b'U\nstate_dict'
    b'q\x05ccollections\nOrderedDict\nq\x06]q\x07(]q\x08(U\x01aK\x01e]q\t(X\x01\0'
    b'\0\0bG@\x04\0\0\0\0\0\0ee\x85Rq\nU\x04longq\x0b\x8a\t\0\0\0\0\0\0\0\0@'
    b'U\x01nNU\x01sc__builtin__\nset\nq\x0c]q\r(K\x01K\x02e\x85Rq\x0eU\x01t\x88]'
    b'q\x0fK\x03a\x86u'
)


def text(word):
    return b'X' + len(word).to_bytes(4, 'little') + word.encode()


def archive(path, program, **storages):
    """A file of torch with a pickle of these opcodes."""
    with zipfile.ZipFile(path, 'w') as out:
        out.writestr('a/data.pkl', b'\x80\x02' + program + b'.')
        out.writestr('a/version', b'3\n')
        for key, content in storages.items():
            out.writestr(f'a/data/{key.removeprefix("s")}', content)
    return path


class Made:
    """Stored as the result of a call, filled with a state."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


def save(path, data, new=True):
    torch.save(data, path, _use_new_zipfile_serialization=new)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'a.pth'


@pytest.mark.parametrize(
    ('program', 'what'),
    [
        # Attributes of what a name stands for, and of all of its kind.
        (BUFFER + SLOTS + b'b', 'state of _Maker'),
        (b'cnumpy\nndarray\n' + SLOTS + b'b', 'state of type'),
        (b'ctorch\nFloatStorage\n' + SLOTS + b'b', 'state of StorageType'),
        (b'ctorch\nfloat32\n' + SLOTS + b'b', 'state of dtype'),
        (b'ctorch._utils\n_rebuild_tensor_v2\n' + SLOTS + b'b', '_Maker'),
        # Calls of values, however they came to be.
        (b'cnumpy\nndarray\n(M\xff\xff\x85tR', 'call of type'),
        (b'ctorch.storage\nUntypedStorage\nM\xff\xff\x85R', 'call of'),
        (b'ctorch.storage\nUntypedStorage\nM\xff\xff\x85\x81', 'call of'),
        (b'ctorch\nFloatStorage\n)R', 'call of StorageType'),
        (text('eval') + b')R', 'call of str'),
        (b'c__builtin__\ngetattr\n' + BUFFER + text('mean') + b'\x86R)R',
         'call of NoneType'),
        (b'c__builtin__\ngetattr\n' + EMPTY_BUFFER + text('mean') + b'\x86R',
         "getattr of 'mean'"),
        # Names that lead from something listed to something else.
        (b'ctorch\nserialization.os.system\n', 'torch.serialization.os'),
        (b'ccollections\nOrderedDict.__init__.__globals__\n', 'OrderedDict._'),
        (b'cos\nsystem Storage\n', 'os.system Storage'),
        (b'c__builtin__\neval\n', r'^eval$'),
        # What takes memory for nothing, or leads to other decoders.
        (b'c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R', 'bytes'),
        (b'c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R', 'bytes'),
        (b'c_codecs\nencode\n' + text('a') + text('zip') + b'\x86R', 'bytes'),
        # Arrays of pointers.
        (b'cnumpy\ndtype\n' + text('O8') + b'\x89\x88\x87R', 'dtype of'),
        (b'cnumpy\ndtype\n' + text('f8,O') + b'\x89\x88\x87R', 'dtype of'),
        (b'cnumpy.core.multiarray\nscalar\n' + b'cnumpy\nndarray\nN\x86R',
         'a scalar'),
        (b'cnumpy.core.multiarray\n_reconstruct\n' + BUFFER + b'N\x86R',
         'a kind of numpy.ndarray'),
        # A source file to be compared, and a patch of it to be written.
        (b'(' + text('module') + BUFFER + text('a') + text('b') + b'NtQ',
         'something else than a storage'),
    ],
)  # fmt: skip
def test_refused(path, program, what):
    mean = HistoryBuffer.mean
    with pytest.raises(RefusedError, match=what):
        load_plain(archive(path, program))
    assert HistoryBuffer.mean is mean


def test_every_other_opcode_is_refused(path):
    """Also those that import, call or read caches in other ways."""
    copyreg.add_extension('os', 'system', 200)
    try:
        pickle.loads(b'\x80\x02\x82\xc8.')  # into the cache
        for code in range(256):
            if code in ClosedUnpickler.dispatch:
                continue
            # As much as any of them takes from the stack.
            program = b'(' * 4 + b'N)))' + bytes([code]) + b'\xc8\0\0\0'
            with pytest.raises(RefusedError, match=f'pickle opcode {code}'):
                load_plain(archive(path, program))
    finally:
        copyreg.remove_extension('os', 'system', 200)
    names = {n for n in dir(pickle) if n.isupper()}
    codes = {getattr(pickle, n): n for n in names}
    known = {codes[bytes([code])] for code in ClosedUnpickler.dispatch}
    calling = {'INST', 'OBJ', 'NEWOBJ_EX', 'EXT1', 'EXT2', 'EXT4', 'PERSID',
               'STACK_GLOBAL', 'NEXT_BUFFER'}  # fmt: skip
    assert not known & calling
    assert len(known) == 34


def test_numpy_state_is_made_anew(path):
    """Fields and flags of a dtype could make numbers of it pointers."""
    state = (3, '<', None, ('f0',), {'f0': (1, 0)}, 8, 1, 63)
    kind = Made(np.dtype, ('f8', False, True), state)
    assert load_plain(save(path, [kind])) == [np.dtype('f8')]
    state = (3, 'O', None, None, None, -1, -1, 0)
    kind = Made(np.dtype, ('f8', False, True), state)
    with pytest.raises(RefusedError, match='an order of bytes'):
        load_plain(save(path, [kind]))
    make = np.arange(1).__reduce__()[0]
    args = (np.ndarray, (0,), b'b')
    for shape, raw, error in (
        ((3,), bytes(16), ValueError),
        ((-1, -2), bytes(16), TypeError),
        ((2,), ['a', 'b'], RefusedError),
    ):
        state = (1, shape, np.dtype('f8'), False, raw)
        with pytest.raises(error):
            load_plain(save(path, [Made(make, args, state)]))
    # The singletons of numpy are as they were.
    assert np.dtype('f8').isnative
    assert np.dtype('f8').fields is None


def test_logs_change_no_other_logs(path):
    known = dict(HistoryBuffer._statistics_methods)
    log = HistoryBuffer([1.0, 3.0], [1, 1])
    state = dict(vars(log), statistics_methods=dict(mean=HistoryBuffer.max))
    made = Made(HistoryBuffer, (), state)
    read = load_plain(save(path, made))
    assert HistoryBuffer._statistics_methods == known
    assert read.statistics('mean') == 2
    state.update(_log_history='12', _count_history='34')
    with pytest.raises(RefusedError, match='a HistoryBuffer'):
        load_plain(save(path, made))


@pytest.mark.parametrize('new', [True, False])
def test_hooks_and_bits_of_tensors(path, new):
    class Hooked(dict):
        def __reduce__(self):
            return OrderedDict, ([(1, torch.float32)],)

    storage = torch.ones(2).storage()
    args = (storage, 0, (2,), (1,), True, Hooked())
    made = Made(torch._utils._rebuild_tensor_v2, args)
    (read,) = load_plain(save(path, [made], new))
    assert not read._backward_hooks
    assert read.requires_grad
    made = Made(torch._utils._rebuild_tensor_v2, (*args, {'conj': True}))
    with pytest.raises(RefusedError, match='metadata of a tensor'):
        load_plain(save(path, [made], new))
    made = Made(torch._utils._rebuild_tensor_v2, ([1.0], *args[1:]))
    with pytest.raises(RefusedError, match='a tensor without storage'):
        load_plain(save(path, [made], new))


@pytest.mark.parametrize('new', [True, False])
@pytest.mark.parametrize(
    ('offset', 'size', 'stride'),
    [(0, (3,), (1,)), (1, (2,), (1,)), (0, (2**40,), (1,)), (0, (2,), (2,)),
     (-1, (1,), (1,)), (0, (-1,), (1,)), (1, (2,), (-1,))],
)  # fmt: skip
def test_tensors_stay_within_their_storage(path, new, offset, size, stride):
    storage = torch.ones(2).storage()
    args = (storage, offset, size, stride, False, OrderedDict())
    made = Made(torch._utils._rebuild_tensor_v2, args)
    with pytest.raises(RuntimeError):
        load_plain(save(path, [made], new))


@pytest.mark.parametrize('length', [5, 2**22, 2**62, -1])
def test_storages_stay_within_their_file(path, length):
    """Older versions of torch read on behind a shorter record."""
    program = b'(' + text('storage') + b'ctorch\nFloatStorage\n' + text('0')
    number = pickle.dumps(length, 2)[2:-1]
    program += text('cpu') + number + b'tQ'
    with pytest.raises(ValueError, match='damaged: storage 0 is shorter'):
        load_plain(archive(path, program, s0=bytes(16)))
    # In the older form there are no records, only what the file has.
    save(path, [torch.ones(77)], new=False)
    content = path.read_bytes()
    assert content.count(b'KM') == 2
    path.write_bytes(content.replace(b'KM', number, 1))
    if length > 100 or length < 0:
        with pytest.raises(ValueError, match='damaged: storage'):
            load_plain(path)
    else:
        with pytest.raises(RuntimeError):
            load_plain(path)


def test_a_tar_that_starts_as_a_pickle(path):
    """torch would unpack it; links in it can lead anywhere."""
    start = io.BytesIO()
    torch.save([], start, _use_new_zipfile_serialization=False)
    options = dict(format=tarfile.GNU_FORMAT, encoding='latin1')
    with tarfile.open(path, 'w', **options) as out:
        name = start.getvalue()[:15].decode('latin1')
        out.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo('storages')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        out.addfile(link)
    assert path.read_bytes().startswith(start.getvalue()[:15])
    with pytest.raises(RefusedError, match='legacy .tar archive'):
        load_plain(path)


@pytest.mark.parametrize('new', [True, False])
def test_plain_values_pass(path, new):
    data = dict(
        size=torch.Size([2, 3]), device=torch.device('cuda', 1),
        dtype=torch.bfloat16, set={1, 'a'}, complex=2 - 1j, none=None,
        bytes=b'\0\xff', no_bytes=b'', array=bytearray(b'\xff\0'),
        count=Counter('aab'), long=-(2**80), text='\ud800\xe4', flag=True,
    )  # fmt: skip
    read = load_plain(save(path, data, new))
    assert read == data
    assert [type(x) for x in read.values()] == [type(x) for x in data.values()]


DTYPES = [
    (getattr(torch, name), new)
    for new, names in (
        (
            False,
            'bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 '
            'float64 complex64 complex128',
        ),
        # They have no storages of their own. torch stores them from 2.3 on.
        (True, 'float8_e5m2 uint16 uint32 uint64'),
    )
    for name in names.split()
    if not new or hasattr(torch, 'uint16')
]


@pytest.mark.parametrize('new', [True, False])
@pytest.mark.parametrize(('dtype', 'only_new'), DTYPES, ids=str)
def test_tensors_of_all_dtypes(path, dtype, only_new, new):
    if only_new and not new:
        pytest.skip('torch does not read such files')
    raw = torch.arange(64, dtype=torch.uint8)
    whole = raw.view(dtype) if dtype != torch.bool else raw > 5
    data = dict(
        whole=whole.reshape(2, -1),
        part=whole[1:2],
        # Two views of one storage stay so.
        other=whole.reshape(2, -1).t(),
        none=whole[:0],
        number=whole[1],
    )
    read = load_plain(save(path, data, new))
    for key, want in data.items():
        assert read[key].dtype == dtype
        assert read[key].stride() == want.stride()
        ours, theirs = (
            x.contiguous().reshape(-1).view(torch.uint8)
            for x in (read[key], want)
        )
        assert torch.equal(ours, theirs)
    first = read['whole'].untyped_storage().data_ptr()
    assert read['other'].untyped_storage().data_ptr() == first


@pytest.mark.parametrize('new', [True, False])
def test_parameters(path, new):
    """Of today, and as torch wrote them before 0.4."""
    today = nn.Parameter(torch.ones(2), requires_grad=False)
    old = Made(nn.Parameter, (torch.ones(2),), (False, False, OrderedDict()))
    (old_form,) = load_plain(save(path, [old], new))
    (new_form,) = load_plain(save(path, [today], new))
    for read in (old_form, new_form):
        assert type(read) is nn.Parameter
        assert read.tolist() == [1, 1]
        assert not read.requires_grad


def test_state_dicts_keep_their_metadata(path):
    state = nn.BatchNorm2d(2).state_dict()
    read = load_plain(save(path, state))
    assert type(read) is OrderedDict
    assert read._metadata == state._metadata
    assert read._metadata['']['version'] == 2


def test_pickles_of_python_2(path):
    """Its texts are of bytes; what this is was written by Python 2.7."""
    read = load_plain(archive(path, PYTHON_2))
    assert read == dict(
        state_dict=OrderedDict(a=1, b=2.5), long=2**70, s={1, 2}, c=1j,
        big='x' * 300, n=None, t=(True, [3]),
    )  # fmt: skip


def test_map_location(path):
    save(path, dict(w=torch.ones(2)))
    assert load_plain(path, 'meta')['w'].is_meta
    assert load_plain(path, torch.device('meta'))['w'].is_meta
    assert load_plain(path, {'cpu': 'meta'})['w'].is_meta
    seen = []
    load_plain(path, lambda storage, place: seen.append(place) or storage)
    assert seen == ['cpu']


def test_nothing_in_the_process_changes_meanwhile(path):
    save(path, dict(w=torch.ones(2)))

    def state():
        allowed = getattr(torch.serialization, 'get_safe_globals', list)
        return set(allowed()), list(warnings.filters)

    before, seen = state(), []
    load_plain(path, lambda storage, place: seen.append(state()))
    assert seen == [before]
    assert state() == before


def test_threads_do_not_see_each_others_files(tmp_path):
    """Good and bad ones, and torch's own list, at the same time."""
    marker = tmp_path / 'ran'
    good = save(tmp_path / 'good', dict(w=torch.arange(10.0)))
    bad = write_bad_checkpoint('gadget-in-meta', tmp_path / 'bad', marker)
    results = Counter()
    start = threading.Barrier(4)

    def read(path):
        start.wait()
        for _ in range(50):
            try:
                data = load_plain(path)
            except RefusedError:
                results[path, 'refused'] += 1
            else:
                results[path, data['w'].sum().item()] += 1

    threads = [
        threading.Thread(target=read, args=(path,))
        for path in (good, bad, good, bad)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {(good, 45.0): 100, (bad, 'refused'): 100}
    assert not marker.exists()
