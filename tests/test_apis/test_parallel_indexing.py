import contextlib
import os
import subprocess
import sys
import time

import cv2
import numpy as np
import psutil
import pytest
import torch

from mmps.apis.frame_sources import expand_inputs
from mmps.apis.indexing import mark_of
from mmps.apis.parallel_indexing import (
    join_parts,
    parts_folder,
    start_processes,
)
from mmps.apis.person_model import PersonModel
from mmps.engine.launch import close_processes
from mmps.gallery import (
    Frame,
    GalleryRows,
    create_gallery,
    open_gallery,
)
from mmps.gallery.exact import ExactGallery
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from painted import paint_frame

CONFIG = 'configs/pcnet/pcnet_r18_scenes.py'
# Untrained: whatever it finds best counts as a person.
OPTIONS = ['model.test_cfg.score_thr=0', 'model.test_cfg.max_per_img=4']


@pytest.fixture(scope='module')
def setting(tmp_path_factory):
    """Seven pictures, a video, a checkpoint, and what one process makes."""
    folder = tmp_path_factory.mktemp('setting')
    (folder / 'in').mkdir()
    for i in range(7):
        people = [(i % 6, 60 + 20 * i, 90), ((i + 1) % 6, 280, 80)]
        image, _ = paint_frame(people, i % 3, (384, 216))
        cv2.imwrite(str(folder / 'in' / f'{i}.png'), image)
    writer = cv2.VideoWriter(
        str(folder / 'in' / 'film.avi'),
        cv2.VideoWriter_fourcc(*'MJPG'), 2, (384, 216),
    )  # fmt: skip
    for i in range(4):
        writer.write(paint_frame([(i, 100, 90)], 0, (384, 216))[0])
    writer.release()
    torch.manual_seed(0)
    model = PersonModel(load_config(CONFIG))
    torch.save(dict(state_dict=model.model.state_dict()), folder / 'a.pth')
    run(folder, 'one')
    return folder


def start(folder, name, *options, torchrun=()):
    command = [
        *(torchrun or [sys.executable]), 'tools/search.py', 'index',
        folder / name, folder / 'in', '--model', CONFIG, folder / 'a.pth',
        '--det-thr', 0, '--cfg-options', *OPTIONS, *options,
    ]  # fmt: skip
    return subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, name, *options, torchrun=()):
    process = start(folder, name, *options, torchrun=torchrun)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def same(folder, name):
    """Same ids, frames, boxes, and embeddings but for rounding."""
    with (
        open_gallery(folder / 'one', read_only=True) as one,
        open_gallery(folder / name, read_only=True) as other,
    ):
        ((rows, frames),) = one.scan(1000)
        ((theirs, their_frames),) = other.scan(1000)
        assert rows.ids.tolist() == theirs.ids.tolist()
        assert [str(frames[i]) for i in rows.frames] == [
            str(their_frames[i]) for i in theirs.frames
        ]
        np.testing.assert_allclose(rows.bboxes, theirs.bboxes, atol=1e-3)
        np.testing.assert_allclose(
            rows.embeddings, theirs.embeddings, atol=1e-5
        )
        assert len(rows) == 44
        for key in ('rows', 'frames', 'model_hash', 'metric', 'dim'):
            assert one.info()[key] == other.info()[key]
        (film,) = expand_inputs(folder / 'in' / 'film.avi')
        marks = [mark_of(film, tracks=False).name]
        assert one.has_frames(marks).all()
        assert other.has_frames(marks).all()


@pytest.mark.slow
def test_two_processes_make_the_same_gallery(setting, free_port):
    torchrun = (
        sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', 2,
        '--master_port', free_port,
    )  # fmt: skip
    out = run(setting, 'two', '--launcher', 'pytorch', torchrun=torchrun)
    assert out.count('11 frames, 44 people added; 0 frames were there') == 1
    same(setting, 'two')
    assert not parts_folder(str(setting / 'two')).exists()
    out = run(setting, 'two', '--launcher', 'pytorch', torchrun=torchrun)
    assert out.startswith('0 frames, 0 people added; 11 frames were there')


@pytest.mark.slow
def test_ray_makes_the_same_gallery(setting):
    pytest.importorskip('ray', reason='needs the extra mmps[ray]')
    out = run(setting, 'ray', '--launcher', 'ray')
    assert '11 frames, 44 people added; 0 frames were there' in out
    same(setting, 'ray')
    out = run(setting, 'ray', '--launcher', 'ray')
    assert '0 frames, 0 people added; 11 frames were there' in out


@pytest.mark.slow
def test_ray_does_the_work_of_a_killed_actor_again(setting):
    pytest.importorskip('ray', reason='needs the extra mmps[ray]')
    process = start(setting, 'killed', '--launcher', 'ray')
    victim = None
    while victim is None and process.poll() is None:
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if 'MapWorker' in ' '.join(one.cmdline()):
                    victim = one
        time.sleep(0.05)
    victim.kill()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert '11 frames, 44 people added' in out
    same(setting, 'killed')


@pytest.mark.slow
@pytest.mark.parametrize('launcher', ['none', 'ray'])
def test_parts_that_a_crash_left_are_joined(setting, tmp_path, launcher):
    """Of another number of processes; nothing of them is done again."""
    one = ExactGallery.open(str(setting / 'one'), read_only=True)
    with one:
        header = one.header
        pieces = list(one.pieces(3))
    uri = tmp_path / 'g'
    create_gallery(uri, header).close()
    for number, (frames, rows) in enumerate(pieces[:-1]):
        part = parts_folder(str(uri)) / f'{number:04d}'
        with create_gallery(part, header) as gallery:
            gallery.add(frames, rows)
    name = f'joined_{launcher}'
    (setting / name).symlink_to(uri)
    parts_folder(str(uri)).rename(parts_folder(str(setting / name)))
    out = run(setting, name, '--launcher', launcher)
    done = sum(
        not frame.is_mark for frames, _ in pieces[:-1] for frame in frames
    )
    # Ray's actors do not see the gallery: an unfinished video is done again.
    left = {'none': 11 - done, 'ray': 4}[launcher]
    assert out.startswith(f'{left} frames')
    same(setting, name)


def test_parts_of_another_model_are_not_joined(tmp_path, model):
    part = tmp_path / 'g.parts' / '0000'
    with create_gallery(part, model.header(model_hash='other')) as gallery:
        gallery.add([Frame('a')], GalleryRows.empty(8))
    with (
        create_gallery(tmp_path / 'g', model.header()) as gallery,
        pytest.raises(UsageError, match='build a gallery of its own'),
    ):
        join_parts(gallery, tmp_path / 'g.parts')
    assert part.exists()


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_without_the_launcher(launcher, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(UsageError, match=f'--launcher {launcher}: RANK'):
        start_processes(launcher)


def test_slurm_tells_rank_and_address(monkeypatch, free_port):
    for name, value in dict(
        SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_LOCALID='0',
        SLURM_LAUNCH_NODE_IPADDR='127.0.0.1', MASTER_PORT=free_port,
    ).items():  # fmt: skip
        monkeypatch.setenv(name, value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR'):
        monkeypatch.setenv(name, '')  # so that it is put back
        monkeypatch.delenv(name)
    try:
        rank, num, _ = start_processes('slurm')
        assert (rank, num) == (0, 1)
    finally:
        close_processes()


def test_where_parts_lie():
    assert str(parts_folder('a/b')) == 'a/b.parts'
    assert str(parts_folder('http://host:19530/street')) == (
        'host:19530_street.parts'
    )
