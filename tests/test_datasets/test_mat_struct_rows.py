"""Tests of protocol files that are read row by row, against scipy."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from mmps.datasets.cuhk_protocol import read_protocol
from mmps.datasets.errors import FaultList
from mmps.datasets.mat.elements import MatError
from mmps.datasets.mat.struct_rows import stream_struct

NAMES = [
    's1.jpg', 's22.jpg', 's333.jpg', 's44444444.jpg', 's5',
    'a_name_of_many_bytes.jpg', 's\u00fc.jpg',
]  # fmt: skip
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


def with_scipy(path: Path) -> tuple[list, list, list, list]:
    """Queries, numbers of entries, frames and boxes."""
    queries, lengths, frames, boxes = [], [], [], []
    for row in loadmat(path)['TestG50'].ravel():
        query, gallery = row['Query'].ravel()[0], row['Gallery'].ravel()
        queries.append((query['imname'][0], *query['idlocate'].ravel()))
        lengths.append(len(gallery))
        for entry in gallery:
            frames.append(INDEX[entry['imname'][0]])
            boxes.append(entry['idlocate'].ravel().tolist() or [np.nan] * 4)
    return queries, lengths, frames, boxes


@given(st.lists(rows, min_size=2, max_size=4), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_agrees_with_scipy(
    write_subset: Callable, folder: Path, test: list, compress: bool
) -> None:
    path = folder / 'TestG50.mat'
    write_subset(path, 'TestG50', test, compress)
    faults = FaultList('test')
    found = read_protocol(path, 'TestG50', INDEX, faults)
    assert not faults.lines
    queries, lengths, frames, boxes = with_scipy(path)
    assert [
        (name, *box)
        for name, box in zip(found.query_names, found.query_boxes.tolist())
    ] == queries
    assert np.diff(found.splits).tolist() == lengths
    assert found.frames.tolist() == frames
    np.testing.assert_array_equal(
        found.boxes, np.array(boxes, np.float32).reshape(-1, 4)
    )
    assert found.frames.dtype == np.int32
    assert found.boxes.dtype == np.float32
    flat = [entry for _, _, gallery in test for entry in gallery]
    assert frames == [INDEX[name] for name, _ in flat]
    assert found.query_person_ids.tolist() == [
        int(name[1:]) for name, _, _ in test
    ]


@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=80)
def test_damaged_bytes_are_a_fault_or_harmless(
    write_subset: Callable, folder: Path, data: st.DataObject
) -> None:
    path = folder / 'damaged.mat'
    test = [('p1', ('s1.jpg', (1, 2, 3, 4)), [('s5', None)])] * 2
    compress = data.draw(st.booleans())
    write_subset(path, 'TestG50', test, compress)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(124, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    whole = path.read_bytes()
    path.write_bytes(content)
    faults = FaultList('damaged')
    found = read_protocol(path, 'TestG50', INDEX, faults)
    assert (found is None) == bool(faults.lines)
    if found is not None:
        # A number was hit, or something without a meaning here; of what is
        # compressed a checksum tells.
        assert len(found.query_names) == len(found.query_person_ids)
        assert found.splits[-1] == len(found.frames) == len(found.boxes)
        assert not (compress and content[136:] != whole[136:])


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
@pytest.mark.parametrize('compress', [False, True])
def test_other_content(
    tmp_path: Path, content: np.ndarray, compress: bool
) -> None:
    path = tmp_path / 'other.mat'
    fields = 'Query', 'Gallery'
    savemat(path, {'TestG50': content}, do_compression=compress)
    with pytest.raises(TypeError, match='no struct array'):
        list(stream_struct(path, 'TestG50', fields))
    faults = FaultList('other')
    assert read_protocol(path, 'TestG50', INDEX, faults) is None
    assert 'TestG50 has another form' in faults.lines[0]
    savemat(path, {'other': content}, do_compression=compress)
    with pytest.raises(MatError, match='has no variable TestG50'):
        list(stream_struct(path, 'TestG50', fields))


@pytest.mark.parametrize('compress', [False, True])
def test_other_variables_and_fields(
    write_subset: Callable, tmp_path: Path, compress: bool
) -> None:
    path = tmp_path / 'TestG50.mat'
    test = [('p3', ('s1.jpg', (1, 2, 3, 4)), [('s5', None)])] * 2
    write_subset(path, 'TestG50', test)
    rows = loadmat(path)['TestG50']
    wider = np.empty(
        rows.shape, [(name, object) for name in ('Query', 'Gallery', 'note')]
    )
    wider['Query'], wider['Gallery'] = rows['Query'], rows['Gallery']
    wider['note'] = 'not a struct'
    values = {'before': 'text', 'TestG50': wider, 'after': np.ones(3)}
    savemat(path, values, do_compression=compress)
    protocol = read_protocol(path, 'TestG50', INDEX, FaultList('test'))
    assert protocol.frames.tolist() == [4, 4]
    values['TestG50'] = np.empty(rows.shape, [('Query', object)])
    values['TestG50']['Query'] = rows['Query']
    savemat(path, values, do_compression=compress)
    faults = FaultList('test')
    assert read_protocol(path, 'TestG50', INDEX, faults) is None
    assert "TestG50 has another form ('Gallery')" in faults.lines[0]


def test_images_that_are_unknown(
    write_subset: Callable, tmp_path: Path
) -> None:
    path = tmp_path / 'TestG50.mat'
    test = [
        ('p1', ('s1.jpg', (1, 2, 3, 4)), [('s\u00df', None), ('no', None)])
    ]
    write_subset(path, 'TestG50', test)
    faults = FaultList('test')
    assert read_protocol(path, 'TestG50', INDEX, faults) is None
    assert [line.partition('names image ')[2] for line in faults.lines] == [
        's\u00df; expected an image of pool.mat',
        'no; expected an image of pool.mat',
    ]


def element(order: str, kind: int, data: bytes) -> bytes:
    return (
        struct.pack(f'{order}II', kind, len(data))
        + data + bytes(-len(data) % 8)
    )  # fmt: skip


def array(order: str, kind: int, dims: tuple, rest: bytes, name: bytes = b''):
    head = element(order, 6, struct.pack(f'{order}II', kind, 0))
    head += element(order, 5, struct.pack(f'{order}{len(dims)}i', *dims))
    return element(order, 14, head + element(order, 1, name) + rest)


def structs(order: str, fields: dict[str, list[bytes]], **more: bytes):
    """An array of structs from their fields' arrays."""
    names = b''.join(name.encode().ljust(16, b'\0') for name in fields)
    rest = struct.pack(
        f'{order}HHi', *((5, 4) if order == '<' else (4, 5)), 16
    )
    rest += element(order, 1, names)
    rest += b''.join(b''.join(row) for row in zip(*fields.values()))
    num = len(next(iter(fields.values())))
    return array(order, 2, (1, num), rest, **more)


@pytest.mark.parametrize('order', '<>')
def test_either_order_of_bytes(tmp_path: Path, order: str) -> None:
    def text(value: str) -> bytes:
        coded = element(order, 16, value.encode())
        return array(order, 4, (1, len(value)), coded)

    def box(*values: int) -> bytes:
        coded = struct.pack(f'{order}{len(values)}H', *values)
        dims = (1, 4) if values else (0, 0)
        return array(order, 11, dims, element(order, 4, coded))

    query = structs(
        order,
        dict(imname=[text('s1.jpg')], idlocate=[box(1, 2, 3, 400)],
             idname=[text('p77')]),
    )  # fmt: skip
    gallery = structs(
        order,
        dict(imname=[text('s22.jpg'), text(NAMES[5])],
             idlocate=[box(), box(5, 6, 7, 800)]),
    )  # fmt: skip
    rows = dict(Query=[query], Gallery=[gallery])
    mark = {'<': b'\0\1IM', '>': b'\1\0MI'}[order]
    path = tmp_path / 'TestG50.mat'
    path.write_bytes(
        b'MATLAB 5.0'.ljust(124) + mark
        + structs(order, rows, name=b'TestG50')
    )  # fmt: skip
    found = read_protocol(path, 'TestG50', INDEX, FaultList('test'))
    assert found.query_names == ['s1.jpg']
    assert found.query_boxes.tolist() == [[1, 2, 3, 400]]
    assert found.query_person_ids.tolist() == [77]
    assert found.frames.tolist() == [1, 5]
    np.testing.assert_array_equal(found.boxes, [[np.nan] * 4, [5, 6, 7, 800]])
    assert found.frames.tolist() == with_scipy(path)[2]
