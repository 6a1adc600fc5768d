"""The fast reader of protocol files agrees with scipy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from mmps.datasets import cuhk_protocol
from mmps.datasets.cuhk_protocol import Protocol, read_protocol
from mmps.datasets.errors import FaultList
from mmps.datasets.mat_stream import (
    TextIndex,
    UnusualMatError,
    stream_struct,
)

NAMES = ['s1.jpg', 's22.jpg', 's333.jpg', 's44444444.jpg', 's5']
INDEX = {name: i for i, name in enumerate(NAMES)}

numbers = st.integers(0, 65535)
boxes = st.tuples(numbers, numbers, numbers, numbers)
entries = st.tuples(st.sampled_from(NAMES), st.none() | boxes)
rows = st.tuples(
    st.integers(0, 10**7).map('p{}'.format),
    st.tuples(st.sampled_from(NAMES), boxes),
    st.lists(entries, max_size=6),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('mat')


def with_scipy(path: Path) -> Protocol:
    """The protocol as read without the fast reader."""

    def refuse(*args: object) -> None:
        raise UnusualMatError('told to')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuhk_protocol, '_stream', refuse)
        return read_protocol(path, 'TestG50', INDEX, FaultList('test'))


def assert_equal(left: Protocol, right: Protocol) -> None:
    for key, value in vars(left).items():
        other = vars(right)[key]
        np.testing.assert_array_equal(value, other, key)
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype


@given(st.lists(rows, min_size=1, max_size=4), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_agrees_with_scipy(
    write_subset: Callable, folder: Path, test: list, compress: bool
) -> None:
    path = folder / 'TestG50.mat'
    write_subset(path, 'TestG50', test, compress)
    parts = cuhk_protocol._stream(path, 'TestG50', INDEX)  # the fast one
    assert len(parts.frames) == len(test)
    fast = read_protocol(path, 'TestG50', INDEX, FaultList('test'))
    assert_equal(fast, with_scipy(path))
    flat = [entry for _, _, gallery in test for entry in gallery]
    assert fast.frames.tolist() == [INDEX[name] for name, _ in flat]
    for found, (_, box) in zip(fast.boxes, flat, strict=True):
        expected = [np.nan] * 4 if box is None else box
        np.testing.assert_array_equal(found, expected)
    assert fast.query_person_ids.tolist() == [
        int(name[1:]) for name, _, _ in test
    ]


@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=80)
def test_damaged_bytes_are_left_to_scipy(
    write_subset: Callable, folder: Path, data: st.DataObject
) -> None:
    path = folder / 'damaged.mat'
    test = [('p1', ('s1.jpg', (1, 2, 3, 4)), [('s5', None)])] * 2
    write_subset(path, 'TestG50', test, data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(124, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        parts = cuhk_protocol._stream(path, 'TestG50', INDEX)
    except (UnusualMatError, ValueError, IndexError):
        return
    # The damage hit a number, or something without a meaning here.
    lengths = {len(parts.query_names), len(parts.frames), len(parts.boxes)}
    assert len(lengths) == 1


@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('kept', [0.0, 0.1, 0.5, 0.9])
def test_truncated_file_is_a_fault(
    write_subset: Callable, tmp_path: Path, compress: bool, kept: float
) -> None:
    path = tmp_path / 'TestG50.mat'
    test = [('p1', ('s1.jpg', (1, 2, 3, 4)), [('s5', None)])] * 2
    write_subset(path, 'TestG50', test, compress)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    faults = FaultList('truncated')
    assert read_protocol(path, 'TestG50', INDEX, faults) is None
    assert 'TestG50.mat: cannot be read' in faults.lines[0]


@pytest.mark.parametrize(
    'content',
    [
        np.zeros((2, 3)),
        np.array(['text']),
        np.array([[(1.0, 2.0)]], dtype=[('Query', 'O'), ('Gallery', 'O')]),
    ],
)
def test_other_content_is_left_to_scipy(
    tmp_path: Path, content: np.ndarray
) -> None:
    path = tmp_path / 'other.mat'
    for key, compress in (('TestG50', True), ('other', False)):
        savemat(path, {key: content}, do_compression=compress)
        with pytest.raises(UnusualMatError):
            list(stream_struct(path, 'TestG50'))


def test_long_names_are_left_to_scipy(
    write_subset: Callable, tmp_path: Path
) -> None:
    long = 'a_name_of_many_bytes.jpg'
    path = tmp_path / 'TestG50.mat'
    test = [('p1', (long, (1, 2, 3, 4)), [(long, None), ('s5', None)])]
    write_subset(path, 'TestG50', test)
    index = {**INDEX, long: 9}
    with pytest.raises(UnusualMatError):
        cuhk_protocol._stream(path, 'TestG50', index)
    protocol = read_protocol(path, 'TestG50', index, FaultList('test'))
    assert protocol.frames.tolist() == [9, 4]


def test_text_index() -> None:
    index = TextIndex(NAMES)
    asked = np.array([b's5', b's1.jpg', b'', b's6', b's44444444.jpg'], 'S16')
    assert index.find(asked).tolist() == [4, 0, -1, -1, 3]
    assert TextIndex([]).find(asked).tolist() == [-1] * 5
    with pytest.raises(UnusualMatError):
        TextIndex(['x' * 17])
