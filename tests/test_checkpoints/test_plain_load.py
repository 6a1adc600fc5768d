import os
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmps.checkpoints.closed_pickle import RefusedError
from mmps.checkpoints.plain_load import load_plain

from bad_checkpoints import KINDS, write_bad_checkpoint


@pytest.mark.parametrize('kind', KINDS)
def test_code_is_not_run(tmp_path, kind):
    marker = tmp_path / 'ran'
    path = write_bad_checkpoint(kind, tmp_path / 'a.pth', marker)
    with pytest.raises(RefusedError):
        load_plain(path)
    assert not marker.exists()
    # It is as bad as it should be for this test.
    try:
        torch.load(path, weights_only=False)
    except (RuntimeError, TypeError):
        assert kind in ('pickle', 'tar')
    assert marker.exists()


def test_the_reason_names_what_was_refused(tmp_path):
    for kind, name in (
        ('shell-in-meta', f'{os.name}.system'),
        ('exec-in-meta', 'exec'),
        ('gadget-in-meta', "getattr of '__globals__'"),
        ('tar', 'legacy .tar archive'),
    ):
        path = write_bad_checkpoint(kind, tmp_path / kind, tmp_path / 'ran')
        with pytest.raises(RefusedError) as info:
            load_plain(path)
        assert str(info.value) == name


def test_whole_models_and_scripts_are_refused(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / 'model.pth')
    with pytest.raises(RefusedError, match='torch.nn.modules.linear.Linear'):
        load_plain(tmp_path / 'model.pth')
    torch.jit.trace(nn.ReLU(), torch.ones(1)).save(str(tmp_path / 'a.pth'))
    with pytest.raises(RefusedError, match='TorchScript archive'):
        load_plain(tmp_path / 'a.pth')


@pytest.mark.skipif(
    not hasattr(torch.serialization, 'safe_globals'),
    reason='torch has no list that others can add to before version 2.5',
)
def test_the_list_is_closed(tmp_path):
    """Whatever others in the process have allowed, before and after."""
    marker, others = tmp_path / 'ran', [getattr, eval, exec, np.ndarray]
    with torch.serialization.safe_globals(others):
        for kind in ('exec-in-meta', 'gadget-in-meta'):
            path = write_bad_checkpoint(kind, tmp_path / 'a.pth', marker)
            with pytest.raises(RefusedError):
                load_plain(path)
        assert not marker.exists()
        allowed = torch.serialization.get_safe_globals()
        assert set(others) <= set(allowed)
        assert HistoryBuffer not in allowed


def test_no_variable_opens_it(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path = write_bad_checkpoint(
        'exec-in-meta', tmp_path / 'a.pth', tmp_path / 'ran'
    )
    with pytest.raises(RefusedError):
        load_plain(path)
    assert not (tmp_path / 'ran').exists()


KINDS_OF_NUMBERS = (
    'bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64',
    'int64', 'float16', 'float32', 'float64',
)  # fmt: skip


def test_numbers_and_arrays_of_all_kinds_pass(tmp_path):
    data = {
        name: (np.dtype(name), np.ones((2, 0, 3), name), np.ones(3, name)[0])
        for name in KINDS_OF_NUMBERS
    }
    data['swapped'] = np.arange(5, dtype='>i4')
    torch.save(data, tmp_path / 'a.pth')
    read = load_plain(tmp_path / 'a.pth')
    for name in KINDS_OF_NUMBERS:
        kind, array, number = read[name]
        assert kind == name
        assert (array.dtype, array.shape) == (name, (2, 0, 3))
        assert (type(number), number) == (np.dtype(name).type, 1)
    np.testing.assert_array_equal(read['swapped'], np.arange(5))


def test_arrays_of_both_numpys_pass(tmp_path):
    """The module of numpy 1 and of numpy 2, whichever is installed."""
    new, old = b'cnumpy._core.multiarray\n', b'cnumpy.core.multiarray\n'
    torch.save(
        dict(a=np.float64(3), b=np.arange(3)),
        tmp_path / 'a.pth',
        _use_new_zipfile_serialization=False,
    )
    content = (tmp_path / 'a.pth').read_bytes()
    assert new in content or old in content
    for wanted, other in ((new, old), (old, new)):
        (tmp_path / 'a.pth').write_bytes(content.replace(other, wanted))
        read = load_plain(tmp_path / 'a.pth')
        assert read['a'] == 3
        assert read['b'].tolist() == [0, 1, 2]


def test_logs_of_trainings_pass(tmp_path):
    torch.save(HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 1]), tmp_path / 'a.pth')
    read = load_plain(tmp_path / 'a.pth')
    assert (read.mean(), read.current(), read.min()) == (3, 6, 1)
    assert read.statistics('mean') == 3


def test_junk_is_not_called_dangerous(tmp_path):
    for content in (b'<!DOCTYPE html>', b'junk', b''):
        (tmp_path / 'a.pth').write_bytes(content)
        with pytest.raises(Exception) as info:  # noqa: PT011
            load_plain(tmp_path / 'a.pth')
        assert not isinstance(info.value, RefusedError)


def test_flipped_bits_are_found(tmp_path):
    torch.save({'w': torch.ones(1000)}, path := tmp_path / 'a.pth')
    data = bytearray(path.read_bytes())
    ones = torch.ones(100).numpy().tobytes()
    data[data.index(ones) + 200] ^= 0x10
    path.write_bytes(data)
    # torch alone reads other weights.
    assert (torch.load(path, weights_only=True)['w'] != 1).sum() == 1
    with pytest.raises(ValueError, match=r'damaged: a/data/0 does not have'):
        load_plain(path)


def test_a_packed_archive_is_left_to_torch(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.pth', 'w', zipfile.ZIP_DEFLATED) as out:
        out.writestr('a/data.pkl', bytes(10**7))
    with pytest.raises(RuntimeError):
        load_plain(tmp_path / 'a.pth')
