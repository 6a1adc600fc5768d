"""Tests of a training with bad images of every kind."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_sets import write_scenes

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/oim/oim_r18_scenes.py'
train_dataloader = dict(
    batch_size=2, num_workers=2, dataset=dict(data_root='{data}'))
val_dataloader = dict(num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{data}'))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=7, val_interval=100, val_begin=100)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(vis_backends=vis_backends, name='bad_pictures')
"""


def huge_png() -> bytes:
    """The header of 50,000 x 50,000 pixels, as far as a decoder gets."""
    size = struct.pack('>IIBBBBB', 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = b''
    for name, body in ((b'IHDR', size), (b'IDAT', b''), (b'IEND', b'')):
        crc = struct.pack('>I', zlib.crc32(name + body))
        chunks += struct.pack('>I', len(body)) + name + body + crc
    return b'\x89PNG\r\n\x1a\n' + chunks


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    """Twelve frames; six are bad, four have another mode or an EXIF turn."""
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train_frames=12, cameras=1)
    names = [line.split()[0] for line in _train_names(root)]
    frames = [root / 'frames' / f'{name}.jpg' for name in names]
    image = Image.open(frames[0]).convert('RGB')
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    depth = Image.fromarray(np.asarray(image.convert('L'), np.uint16) * 256)
    contents = [
        b'junk',
        b'',
        frames[2].read_bytes()[:-200],
        huge_png(),
        None,
        b'\xff\xd8\xff\xe0' + b'\0' * 40,
        saved(image.convert('CMYK'), 'JPEG'),
        saved(image.convert('RGBA'), 'PNG'),
        saved(depth, 'PNG'),
        saved(image, 'JPEG', exif=exif),
    ]
    for frame, content in zip(frames, contents):
        if content is None:
            frame.unlink()
        else:
            frame.write_bytes(content)
    return root


def _train_names(root):
    from scipy.io import loadmat

    table = loadmat(root / 'frame_train.mat')['img_index_train']
    return [str(row[0][0]) for row in table]


def train(cli, tmp_path, data, *options):
    config = tmp_path / 'bad.py'
    config.write_text(CONFIG.format(root=ROOT, data=data))
    return cli(
        *('train.py', config, '--work-dir', tmp_path / 'work'),
        *('--seed', 0, '--cfg-options', *options),
    )


def test_skipped_and_counted(cli, tmp_path, tree):
    skip = 'train_dataloader.dataset.pipeline.0.on_bad_image=skip'
    status, err = train(cli, tmp_path, tree, skip)
    assert status == 0, err
    assert (tmp_path / 'work' / 'iter_7.pth').is_file()
    log = next((tmp_path / 'work').glob('*/*.log')).read_text()
    for reason in (
        'not a whole image',
        'the file is empty',
        '2500000000 pixels) exceeds limit',
        'No such file',
    ):
        assert reason in log, reason


def test_stopped_by_the_first(cli, tmp_path, tree):
    missing = 'train_dataloader.dataset.check_images=False'
    status, err = train(cli, tmp_path, tree, missing)
    assert status == 2
    line = err.strip().splitlines()[-1]
    assert line.startswith(f'error: {tree}/frames/')
    assert '.jpg: ' in line
    assert 'Traceback' not in err


def test_a_missing_one_is_found_before_training(cli, tmp_path, tree):
    status, err = train(cli, tmp_path, tree, 'train_dataloader.num_workers=0')
    assert status == 2
    assert 'no such file; expected an image' in err
