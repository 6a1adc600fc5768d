"""Tests of an exact gallery whose files were changed or damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmps.gallery import (
    Frame,
    GalleryError,
    GalleryHeader,
    GalleryRows,
    create_gallery,
    open_gallery,
    segments,
    stable_id,
)

DIM = 4


def rows_of(name: str, num: int = 3) -> GalleryRows:
    rng = np.random.default_rng(stable_id(name) % 2**31)
    return GalleryRows(
        ids=[stable_id(f'{name}#{i}') for i in range(num)],
        frames=np.zeros(num, int),
        bboxes=rng.random((num, 4)),
        scores=rng.random(num),
        embeddings=rng.standard_normal((num, DIM)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of one segment: frame a with three people."""
    with create_gallery(tmp_path / 'g', GalleryHeader(DIM)) as gallery:
        gallery.add([Frame('a', 'a.jpg', camera='c')], rows_of('a'))
    return tmp_path / 'g'


def change(folder: Path, key: str, edit: Callable) -> None:
    """Write an array anew, with the checksums of the archive right."""
    path = folder / '00000000.npz'
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    arrays[key] = edit(arrays[key])
    if arrays[key] is None:
        del arrays[key]
    np.savez(path, **arrays)


def use(folder: Path) -> None:
    """Open a gallery and ask it everything."""
    with open_gallery(folder) as gallery:
        gallery.search(np.ones((1, DIM)), 2)
        gallery.list_frames()
        gallery.cameras()
        gallery.get([stable_id('a#0')], embeddings=True)
        gallery.people_in('a')
        list(gallery.scan())
        gallery.add([Frame('b')], rows_of('b'))
        gallery.persist()


def texts(**changes: object) -> Callable:
    def edit(data: np.ndarray) -> np.ndarray:
        content = {**json.loads(data.tobytes()), **changes}
        return np.frombuffer(json.dumps(content).encode(), np.uint8)

    return edit


def test_the_change_alone_is_harmless(folder: Path) -> None:
    change(folder, 'ids', lambda a: a)
    use(folder)
    with open_gallery(folder) as gallery:
        assert list(gallery.people_in('a').ids) == list(rows_of('a').ids)


@pytest.mark.parametrize(
    ('key', 'edit'),
    [
        *((key, lambda a: None) for key in segments._KEYS),
        *((key, lambda a: a[None]) for key in segments._KEYS[:-2]),
        *((key, lambda a: a.astype('U')) for key in segments._KEYS[:-2]),
        *((key, lambda a: a.astype(complex)) for key in segments._KEYS[:-2]),
        ('ids', lambda a: a[:-1]),
        ('ids', lambda a: a[[0, 0, 1]]),
        ('ids', lambda a: -a),
        ('frames', lambda a: a + 1),
        ('frames', lambda a: a - 1),
        ('frames', lambda a: a.astype(float)),
        ('bboxes', lambda a: a * np.nan),
        ('bboxes', lambda a: a[:, :3]),
        ('scores', lambda a: a * np.inf),
        ('frame_ids', lambda a: a[:0]),
        ('frame_ids', lambda a: a.astype(np.uint64)),
        ('frame_times', lambda a: np.full(1, np.inf)),
        ('frame_times', lambda a: a.astype('M8[s]')),
        ('frame_index', lambda a: a.astype(float)),
        ('frame_sizes', lambda a: a.ravel()),
        ('frame_cameras', lambda a: a + 1),
        ('frame_cameras', lambda a: a - 1),
        ('gone_ids', lambda a: a.astype(float)),
        ('gone_frames', lambda a: a[:, None]),
        ('checksum', lambda a: a + 1),
        ('checksum', lambda a: np.array([1, 2])),
        ('texts', lambda a: a[:-1]),
        ('texts', lambda a: np.frombuffer(b'\xff\xfe', np.uint8)),
        ('texts', lambda a: np.frombuffer(b'[' * 100_000, np.uint8)),
        ('texts', lambda a: np.frombuffer(b'[]', np.uint8)),
        ('texts', texts(names=['a', 'b'])),
        ('texts', texts(names=[5])),
        ('texts', texts(names='a')),
        ('texts', texts(names=None)),
        ('texts', texts(sources=[1])),
        ('texts', texts(sources=[])),
        ('texts', texts(cameras=[])),
        ('texts', texts(cameras=[None])),
        ('texts', texts(cameras=5)),
    ],
)
def test_arrays_that_do_not_fit(folder: Path, key: str, edit: Callable):
    change(folder, key, edit)
    with pytest.raises(GalleryError, match='00000000.np'):
        use(folder)


@pytest.mark.parametrize('place', [-1, -20, -48])
@pytest.mark.parametrize('bit', [1, 64, 128])
def test_a_flipped_bit_of_an_embedding(folder: Path, place: int, bit: int):
    path = folder / '00000000.npy'
    data = bytearray(path.read_bytes())
    data[place] ^= bit
    path.write_bytes(data)
    with pytest.raises(GalleryError, match=r'00000000.npy.*checksum'):
        open_gallery(folder)


def test_embeddings_of_another_gallery(folder: Path, tmp_path: Path) -> None:
    with create_gallery(tmp_path / 'h', GalleryHeader(DIM)) as gallery:
        gallery.add([Frame('b')], rows_of('b'))
    other = (tmp_path / 'h/00000000.npy').read_bytes()
    (folder / '00000000.npy').write_bytes(other)
    with pytest.raises(GalleryError, match='checksum'):
        open_gallery(folder)


def test_large_files_are_compared_when_they_are_merged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, '_CHECKED_BYTES', 10)
    path = folder / '00000000.npy'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with open_gallery(folder) as gallery:
        gallery.add([Frame('b')], rows_of('b'))
        with pytest.raises(GalleryError, match='00000000.npy.*checksum'):
            gallery.persist()
        # Nothing is lost that can still be read.
        assert gallery.has_frames(['a', 'b']).all()
    with open_gallery(folder) as gallery:
        assert gallery.has_frames(['a', 'b']).all()


@pytest.mark.parametrize('name', ['00000000.npy', '00000000.npz'])
def test_a_folder_in_the_place_of_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(GalleryError, match=f'{name}: broken'):
        open_gallery(folder)


def test_numbers_of_another_width(folder: Path) -> None:
    path = folder / '00000000.npy'
    np.save(path, np.load(path).astype(np.float64))
    with pytest.raises(GalleryError, match='checksum|float64'):
        open_gallery(folder)


def test_manifest_nested_without_end(folder: Path) -> None:
    (folder / 'gallery.json').write_text('[' * 100_000)
    with pytest.raises(GalleryError, match='gallery.json: broken'):
        open_gallery(folder)
