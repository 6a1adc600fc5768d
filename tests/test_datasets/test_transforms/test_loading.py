"""Tests of image loading on valid and bad images."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmps.datasets import BadImageError, PRWDataset
from mmps.datasets.transforms import LoadFrame

SIZE = (100, 120)


@pytest.fixture
def pixels() -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    return cv2.blur(noise, (9, 9))


def write(path: Path, pixels: np.ndarray) -> bytes:
    assert cv2.imwrite(str(path), pixels)
    return path.read_bytes()


def test_loads_bgr_pixels(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / 'a.png'
    write(path, pixels)
    results = LoadFrame()(dict(img_path=str(path)))
    np.testing.assert_array_equal(results['img'], pixels)
    assert results['img_shape'] == results['ori_shape'] == SIZE
    assert 'bad_image' not in results
    as_float = LoadFrame(to_float32=True)(dict(img_path=str(path)))
    assert as_float['img'].dtype == np.float32


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'webp', 'tif'])
@pytest.mark.parametrize('kept', [0.02, 0.5, 0.9, 0.995])
def test_truncated_file_is_named(
    tmp_path: Path, pixels: np.ndarray, suffix: str, kept: float
) -> None:
    path = tmp_path / f'cut.{suffix}'
    data = write(path, pixels)
    LoadFrame()(dict(img_path=str(path)))
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(BadImageError, match=f'cut.{suffix}'):
        LoadFrame()(dict(img_path=str(path)))


@pytest.mark.parametrize('tail', [b'\0' * 7, b'camera data'])
def test_bytes_after_the_end_are_harmless(
    tmp_path: Path, pixels: np.ndarray, tail: bytes
) -> None:
    path = tmp_path / 'a.jpg'
    data = write(path, pixels)
    expected = LoadFrame()(dict(img_path=str(path)))['img']
    path.write_bytes(data + tail)
    results = LoadFrame()(dict(img_path=str(path)))
    np.testing.assert_array_equal(results['img'], expected)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'the file is empty'),
        (b'junk' * 100, 'not a whole image'),
        (b'\xff\xd8\xff\xd9', 'not a whole image'),
        (None, 'cannot be read'),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / 'bad.jpg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadImageError, match=f'bad.jpg: .*{message}'):
        LoadFrame()(dict(img_path=str(path)))


def test_max_pixels(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / 'a.jpg'
    write(path, pixels)
    LoadFrame(max_pixels=12000)(dict(img_path=str(path)))
    LoadFrame(max_pixels=None)(dict(img_path=str(path)))
    with pytest.raises(BadImageError, match='120 x 100 pixels'):
        LoadFrame(max_pixels=11999)(dict(img_path=str(path)))


def test_exif_orientation(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / 'turned.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show
    Image.fromarray(pixels).save(path, exif=exif)
    assert LoadFrame()(dict(img_path=str(path)))['img_shape'] == SIZE
    turned = LoadFrame(exif_orientation=True)(dict(img_path=str(path)))
    assert turned['img_shape'] == SIZE[::-1]


def test_unknown_policy() -> None:
    with pytest.raises(ValueError, match="on_bad_image is 'ignore'"):
        LoadFrame(on_bad_image='ignore')


@pytest.fixture
def skipping(load_pipeline: list[dict]) -> list[dict]:
    load_pipeline[0]['on_bad_image'] = 'skip'
    return load_pipeline


def test_training_takes_another_frame(
    write_prw: Callable, skipping: list[dict]
) -> None:
    root = write_prw()
    (root / 'frames/c1s1_000001.jpg').write_bytes(b'junk')
    (root / 'frames/c2s1_000001.jpg').unlink()
    dataset = PRWDataset(root, pipeline=skipping)
    np.random.seed(0)
    names = {dataset[i]['data_samples'].frame_name for i in (0, 1, 2)}
    assert names == {'c2s1_000002.jpg'}
    assert dataset.num_bad_images >= 2


def test_test_split_keeps_its_frames(
    write_prw: Callable, skipping: list[dict]
) -> None:
    root = write_prw()
    (root / 'frames/c2s1_000010.jpg').write_bytes(b'junk')
    dataset = PRWDataset(root, split='test', pipeline=skipping)
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    assert [s.get('bad_image', False) for s in samples] == [
        *(False, True, False, False)
    ]
    # Black, and large enough for the frame's boxes.
    assert not dataset[1]['inputs'].any()
    assert samples[1].img_shape == (90, 85)
    assert samples[1].query_instances.query_indices.tolist() == [0, 2]
    assert dataset.num_bad_images == 2


def test_blank_frame_has_the_annotated_size(
    write_prw: Callable, skipping: list[dict]
) -> None:
    root = write_prw()
    path = root / 'frames/c2s1_000010.jpg'
    path.write_bytes(path.read_bytes()[:-100])
    dataset = PRWDataset(
        root, split='test', pipeline=skipping, read_sizes=True
    )
    assert dataset[1]['data_samples'].img_shape == SIZE


def test_error_policy_names_the_file_in_a_worker(
    write_prw: Callable, load_pipeline: list[dict]
) -> None:
    root = write_prw()
    (root / 'frames/c1s1_000001.jpg').write_bytes(b'junk')
    dataset = PRWDataset(root, pipeline=load_pipeline)
    with pytest.raises(BadImageError, match='c1s1_000001.jpg'):
        dataset[0]


def test_workers_share_the_count(
    write_prw: Callable, skipping: list[dict]
) -> None:
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    root = write_prw()
    for path in (root / 'frames').iterdir():
        path.write_bytes(b'junk')
    dataset = PRWDataset(root, split='test', pipeline=skipping)
    loader = DataLoader(dataset, num_workers=1, collate_fn=pseudo_collate)
    assert len(list(loader)) == 4
    assert dataset.num_bad_images == 4


def test_without_a_limit_of_pixels(tmp_path: Path) -> None:
    """Pillow's own limit against decompression bombs holds then."""
    path = tmp_path / 'huge.png'
    Image.new('1', (20_000, 20_000)).save(path)
    with pytest.raises(BadImageError, match='exceeds limit.*max_pixels=None'):
        LoadFrame(max_pixels=None)(dict(img_path=str(path)))


def test_decoder_without_a_result(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'a.png'
    write(path, pixels)
    monkeypatch.setattr('mmcv.imfrombytes', lambda *args, **kwargs: None)
    with pytest.raises(BadImageError, match='a.png: not a whole image'):
        LoadFrame()(dict(img_path=str(path)))
