"""Tests of archives that are damaged, or made to do harm."""

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmps.structures.npz import read_npz

VALUES = {'a': np.arange(6.0).reshape(2, 3), 'b': np.array(['x', 'yz'])}


def archive(method: int = zipfile.ZIP_STORED, **members: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as file:
        for name, content in members.items():
            file.writestr(f'{name}.npy', content)
    return out


def npy(array: np.ndarray, **changes: object) -> bytes:
    """An array, with a header that says something else."""
    head = dict(descr=array.dtype.str, fortran_order=False, shape=array.shape)
    text = changes.pop('text', None) or repr(head | changes)
    text = text.ljust(117) + '\n'
    start = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text))
    return start + text.encode('latin1') + array.tobytes()


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_reads_what_numpy_wrote(save, tmp_path: Path) -> None:
    values = VALUES | dict(
        c=np.asfortranarray(np.eye(3)[:, :2]),
        d=np.zeros((0, 4), np.float16),
        e=np.array(7),
        f=np.array([1.5], '>f8'),
    )
    save(tmp_path / 'a.npz', **values, other=np.arange(9))
    with open(tmp_path / 'a.npz', 'rb') as file:
        found = read_npz(file, list(values))
    assert list(found) == list(values)
    for key, value in values.items():
        np.testing.assert_array_equal(found[key], value)
        assert found[key].dtype == value.dtype


ONES = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (npy(ONES, shape=(10**12, 3)), 'its header asks for'),
        (npy(ONES, shape=(2**62, 2**62)), 'its header asks for'),
        (npy(ONES, shape=(1, 3)), 'its header asks for'),
        (npy(ONES, shape=(-2, -3)), 'shape'),
        (npy(ONES, descr='|O', shape=(3,)), 'Object arrays'),
        (npy(ONES, descr='<f8'), 'its header asks for'),
        (npy(ONES, descr='nonsense'), 'descr'),
        (npy(ONES, text='{'), 'a: .'),
        (npy(ONES, text='(' * 100), 'a: .'),
        (npy(ONES, text='__import__("os")'), 'a: .'),
        (b'\x93NUMPY\x09\x00' + bytes(50), 'version'),
        (b'', 'a: .'),
        (b'nothing', 'magic'),
    ],
)
def test_headers_are_not_believed(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f'^a: .*{message}|^{message}'):
        read_npz(archive(a=content), ['a'])


def test_missing_and_doubled() -> None:
    with pytest.raises(ValueError, match='no key b, c; needed are a, b, c'):
        read_npz(archive(a=npy(ONES)), ['a', 'b', 'c'])
    double = archive(a=npy(ONES))
    with (
        zipfile.ZipFile(double, 'a') as file,
        pytest.warns(UserWarning, match='Duplicate'),
    ):
        file.writestr('a.npy', npy(ONES * 2))
    with pytest.raises(ValueError, match='twice'):
        read_npz(double, ['a'])
    for junk in (b'', b'PK\x05\x06', b'not a zip' * 100):
        with pytest.raises(ValueError, match='not an .npz file'):
            read_npz(io.BytesIO(junk), ['a'])


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_is_noticed(method: int) -> None:
    values = np.random.default_rng(0).random(50)
    data = archive(method, a=npy(values)).getvalue()
    end = data.rindex(b'PK\x01\x02')
    for place in range(40, end, 11):
        damaged = bytearray(data)
        damaged[place] ^= 16
        with pytest.raises(ValueError, match='^a: '):
            read_npz(io.BytesIO(damaged), ['a'])


def test_flags_of_the_archive() -> None:
    """Encrypted, an unknown method, a version to come."""
    data = archive(a=npy(ONES)).getvalue()
    central = data.rindex(b'PK\x01\x02')
    for place in range(4, 40):
        for value in (1, 14, 99, 255):
            damaged = bytearray(data)
            damaged[central + place] = value
            try:
                found = read_npz(io.BytesIO(damaged), ['a'])
            except ValueError as error:
                text = str(error)
            else:
                text = 'a: read'
                np.testing.assert_array_equal(found['a'], ONES)
            assert re.match('a: .|not an|no key', text)


def test_traps_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive(zipfile.ZIP_DEFLATED, a=npy(np.zeros(2**20)))
    np.testing.assert_array_equal(read_npz(packed, ['a'])['a'], 0)
    monkeypatch.setattr('mmps.utils.files._ALWAYS', 2**20)
    with pytest.raises(ValueError, match='a: unpacks to 8388'):
        read_npz(packed, ['a'])
