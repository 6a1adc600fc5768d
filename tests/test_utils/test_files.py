import errno
import os

import pytest

from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file, write_whole


def test_writes_and_replaces(tmp_path):
    path = tmp_path / 'a.txt'
    for text in (b'one', b'two'):
        write_whole(path, lambda file, text=text: file.write(text))
        assert path.read_bytes() == text
    assert os.listdir(tmp_path) == ['a.txt']


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'old')

    def write(file):
        file.write(b'half')
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_whole(path, write)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_full_disk_is_named(tmp_path):
    def write(file):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(OSError, match=r"No space.*: '.*a\.txt'"):
        write_whole(tmp_path / 'a.txt', write)


def test_existing_file(tmp_path):
    file = tmp_path / 'a.pth'
    file.touch()
    assert existing_file(str(file), 'checkpoint') == str(file)
    with pytest.raises(UsageError, match='checkpoint .*b.pth does not exist'):
        existing_file(str(tmp_path / 'b.pth'), 'checkpoint')
    with pytest.raises(UsageError, match='is not a file'):
        existing_file(str(tmp_path), 'checkpoint')
