"""Tests of the kinds of damage, and of their simplification."""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import find, settings
from scipy.io import savemat

from mmps.datasets.mat.variables import Variables

from fuzzing import CASES, damaged
from fuzzing.damage import FOLDER, MISSING
from fuzzing.tape import Tape


def npz(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def mat(**values: object) -> bytes:
    out = io.BytesIO()
    savemat(out, values)
    return out.getvalue()


def load_mat(content: bytes) -> np.ndarray:
    """The variable; scipy would crash on some of them."""
    return Variables(io.BytesIO(content)).value('people')


def load_npz(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as file:
        return {name: file[name] for name in file.files}


def members(content: bytes) -> list[zipfile.ZipInfo]:
    return zipfile.ZipFile(io.BytesIO(content)).infolist()


def differ(one: bytes, other: bytes) -> int:
    """Number of bytes that differ; a large one if lengths do."""
    if len(one) != len(other):
        return 10**9
    return sum(a != b for a, b in zip(one, other))


BYTES = bytes(range(1, 101))
BYTE_EDITS = dict(
    bit=lambda c: differ(c, BYTES) == 1,
    cut_short=lambda c: len(c) < 100 and BYTES.startswith(c),
    cut_out=lambda c: len(c) < 100 and c[:1] + c[-1:] == b'\x01d',
    start_lost=lambda c: len(c) < 100 and BYTES.endswith(c),
    inserted=lambda c: len(c) > 100 and c[:1] + c[-1:] == b'\x01d',
    zeros=lambda c: len(c) == 100 and bytes(4) in c,
    large_number=lambda c: b'\xff\xff\xff\x7f' in c,
    large_number_big_endian=lambda c: b'\x7f\xff\xff\xff' in c,
    number_where_numbers_are=lambda c: any(
        c[i : i + 4] == b'\xff\xff\xff\xff' and differ(c, BYTES) == 4
        for i in range(0, 100, 4)
    ),
    folder=lambda c: c == FOLDER,
    missing=lambda c: c == MISSING,
    empty=lambda c: c == b'',
)
TEXT = b'1 2 nine\n4\t5\tsix\n'
TEXT_EDITS = dict(
    line_twice=lambda c: c == b'1 2 nine\n1 2 nine\n4\t5\tsix\n',
    lines_swapped=lambda c: c.startswith(b'4\t') and b'1 2' in c,
    line_lost=lambda c: c == b'4\t5\tsix\n',
    words_swapped=lambda c: set(c.split()) == set(TEXT.split()) and c != TEXT,
    word_lost=lambda c: c == b'1  nine\n4\t5\tsix\n',
    no_number=lambda c: b'nan' in c,
    another_digit=lambda c: '\u00b2' in c.decode(),
    another_space=lambda c: '\u00a0' in c.decode(),
    long_number=lambda c: b'9' * 30 in c,
)
JSON = b'{"a": [{"id": 1, "box": [2, 3.5]}, {"id": 4}], "b": "text"}'
JSON_EDITS = dict(
    missing_key=lambda c: json.loads(c).keys() == {'a'},
    another_key=lambda c: 'B' in json.loads(c),
    key_twice=lambda c: c.count(b'"b"') == 2 and json.loads(c),
    nan=lambda c: np.isnan(json.loads(c)['a'][0]['id']),
    list_for_number=lambda c: len(json.loads(c)['a'][0]['id']) > 1,
    number_for_list=lambda c: json.loads(c)['a'] + 1,
    longer_list=lambda c: len(json.loads(c)['a'][0]['box']) == 3,
    shorter_list=lambda c: len(json.loads(c)['a']) == 1,
    swapped=lambda c: json.loads(c)['a'][0]['box'] == [3.5, 2],
    huge_number=lambda c: json.loads(c)['a'][0]['id'] > 10**300,
    none_at_all=lambda c: json.loads(c) is None,
    half_a_character=lambda c: json.loads(c) and b'\\ud800' in c,
    no_utf8=lambda c: b'\xed\xa0\x80' in c,
    nested=lambda c: b'[' * 5000 in c,
)
ARRAY = np.arange(6.0).reshape(2, 3)
NPZ = npz(a=ARRAY, b=np.array([1, 2]))
NPZ_EDITS = dict(
    nan=lambda c: np.isnan(load_npz(c)['a']).sum() == 1,
    all_nan=lambda c: np.isnan(load_npz(c)['a']).sum() == 6,
    negative=lambda c: (load_npz(c)['b'] < 0).any(),
    another_shape=lambda c: load_npz(c)['a'].shape == (6,),
    another_axis=lambda c: load_npz(c)['a'].shape == (1, 2, 3),
    no_rows=lambda c: load_npz(c)['b'].shape == (0,),
    more_rows=lambda c: len(load_npz(c)['a']) == 4,
    integers=lambda c: load_npz(c)['a'].dtype.kind == 'i',
    big_endian=lambda c: load_npz(c)['a'].dtype.byteorder == '>',
    texts=lambda c: load_npz(c)['a'].dtype.kind in 'SU',
    missing=lambda c: load_npz(c).keys() == {'b'},
    swapped=lambda c: load_npz(c)['a'].shape == (2,),
    another_name=lambda c: 'A.NPY' in [i.filename for i in members(c)],
    twice=lambda c: 'a.npy' in zipfile.ZipFile(io.BytesIO(c)).namelist()[1:],
    packed=lambda c: (
        zipfile.ZipFile(io.BytesIO(c)).infolist()[0].compress_type
    ),
    pickled=lambda c: b"'descr': '|O'" in c,
    terabytes=lambda c: b'(1099511627776,)' in c,
    encrypted=lambda c: (
        zipfile.ZipFile(io.BytesIO(c)).infolist()[0].flag_bits & 1
    ),
)
PEOPLE = np.empty((1, 2), [('name', object), ('box', object)])
PEOPLE[0, 0] = 'a', np.array([[1, 2, 3, 4]], np.uint16)
PEOPLE[0, 1] = 'b', np.array([[5, 6, 7, 8]], np.uint16)
MAT = mat(people=PEOPLE)
MAT_EDITS = dict(
    variable=lambda c: 'PEOPLE' in Variables(io.BytesIO(c)),
    no_struct=lambda c: not load_mat(c).dtype.names,
    rows=lambda c: load_mat(c).shape == (1, 1),
    column=lambda c: load_mat(c).shape == (2, 1),
    box=lambda c: load_mat(c)[0, 1]['box'].shape == (1, 3),
    nan=lambda c: np.isnan(load_mat(c)[0, 0]['box']).any(),
    name=lambda c: b'passwd' in c and len(load_mat(c)),
    packed=lambda c: c[128] == 15,
    version_4=lambda c: b'MATLAB' not in c and len(c) > 200,
)


@pytest.mark.filterwarnings('ignore')  # of what reads the damaged files
@pytest.mark.parametrize(
    ('name', 'valid', 'edits'),
    [
        ('a.bin', BYTES, BYTE_EDITS),
        ('a.txt', TEXT, TEXT_EDITS),
        ('a.json', JSON, JSON_EDITS),
        ('a.npz', NPZ, NPZ_EDITS),
        ('a.mat', MAT, MAT_EDITS),
    ],
    ids=['bytes', 'text', 'json', 'npz', 'mat'],
)
def test_every_sort_of_damage_is_drawn(name, valid, edits, draw_damage):
    contents = [
        changes.get(name, valid)
        for changes in draw_damage({name: valid}, 3000)
    ]

    def is_there(fits: Callable) -> bool:
        for content in contents:
            with suppress(Exception):  # not readable as such
                if fits(content):
                    return True
        return False

    missed = [what for what, fits in edits.items() if not is_there(fits)]
    assert missed == []


def test_several_files(draw_damage):
    found = draw_damage({'a': b'1', 'b': b'2', 'c': b'3'}, 200)
    assert {len(changes) for changes in found} == {0, 1, 2, 3}
    assert sum(map(bool, found)) > 180
    assert any(changes.get('a') == b'3' for changes in found)


def test_a_case_is_made_simple():
    """What a fault does not need is not in its least case."""
    files = {'a.json': JSON, 'b.txt': TEXT, 'c.npz': NPZ}

    def shrunk(fits: Callable) -> dict:
        case = find(
            CASES,
            lambda case: fits(damaged(files, case)),
            settings=settings(
                max_examples=3000, database=None, derandomize=True
            ),
        )
        return damaged(files, case)

    changes = shrunk(lambda c: 'b.txt' in c)
    assert changes.keys() == {'b.txt'}
    changes = shrunk(lambda c: 'a.json' in c and 'c.npz' in c)
    assert changes.keys() == {'a.json', 'c.npz'}
    texts = TEXT, MISSING, FOLDER
    changes = shrunk(lambda c: c.get('b.txt', TEXT) not in texts)
    assert changes.keys() == {'b.txt'}
    # One word, a line at most.
    assert len(set(TEXT.split()) - set(changes['b.txt'].split())) < 4


def test_zeros_and_nothing_are_no_damage():
    files = {'a.json': JSON}
    assert damaged(files, b'') == {}
    assert damaged(files, bytes(96)) == {}
    case = b'\0\1' + bytes(94)
    assert damaged(files, case) == damaged(files, b'\0\1') != {}
    assert files == {'a.json': JSON}


def test_tape():
    tape = Tape(bytes([1, 0, 0, 7, 9]))
    assert tape.below(1000) == 256
    assert tape.choice('abcde') == 'c'
    assert tape.read(3) == b'\x09\0\0'
    assert tape.below(5) == 0
    assert tape.choice('abc') == 'a'
