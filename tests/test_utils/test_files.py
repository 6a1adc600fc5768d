"""Tests of files written as a whole, by one function."""

import ast
import errno
import os
from pathlib import Path
from unittest import mock

import pytest

from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file, write_whole


def test_writes_and_replaces(tmp_path):
    path = tmp_path / 'a.txt'
    for text in (b'one', b'two'):
        write_whole(path, lambda file, text=text: file.write(text))
        assert path.read_bytes() == text
    assert os.listdir(tmp_path) == ['a.txt']


@pytest.mark.parametrize('sync', [True, False])
@pytest.mark.parametrize('content', ['für\n', 'für\n'.encode()])
def test_text_and_bytes(tmp_path, content, sync):
    with mock.patch('os.fsync') as forced:
        write_whole(tmp_path / 'a.txt', content, sync=sync)
    assert (tmp_path / 'a.txt').read_bytes() == b'f\xc3\xbcr\n'
    assert forced.call_count == 2 * sync  # the file and its folder


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


# Logs grow, locks stay empty.
STREAMS = {
    'mmps/utils/files.py',
    'mmps/cli/tool_runs.py',
    'mmps/gallery/exact.py',
    'mmps/gallery/milvus_link.py',
}


def other_writes(source: str) -> list[int]:
    """Lines that write or rename a file in another way."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        name = call.rpartition('.')[2]
        if name == 'open':
            texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
            found = any(set(str(text)) <= set('wax+bt') for text in texts)
        elif name in ('savez', 'savez_compressed', 'save'):
            file = ast.unparse(node.args[0]) if node.args else ''
            found = call.startswith('np.') and file not in ('file', 'buffer')
        else:
            found = name in ('write_text', 'write_bytes') or call in (
                'os.replace',
                'os.rename',
                'partial.replace',
            )
        if found:
            lines.append(node.lineno)
    return lines


def test_finds_other_writes():
    for line in (
        "open(path, 'w')",
        "path.open('wb')",
        'path.write_text(text)',
        'os.replace(part, path)',
        'np.savez(path, a=1)',
    ):
        assert other_writes(line) == [1]
    for line in ("open(path, 'rb')", 'path.open()', 'np.savez(file, a=1)'):
        assert other_writes(line) == []


def test_nothing_else_in_the_package_writes_files():
    root = Path(__file__).parents[2]
    found = [
        f'{name}:{line}'
        for path in sorted((root / 'mmps').rglob('*.py'))
        if (name := path.relative_to(root).as_posix()) not in STREAMS
        for line in other_writes(path.read_text())
    ]
    assert found == []
