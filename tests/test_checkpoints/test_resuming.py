import os

import pytest
import torch
from mmengine.config import Config

from mmps.checkpoints.resuming import newest_checkpoint, seed_to_resume
from mmps.utils.errors import UsageError


def save(path, age=0, seed=4, **changes):
    """A training's checkpoint, `age` seconds old."""
    content = dict(
        meta=dict(iter=2, seed=seed),
        state_dict={},
        message_hub={},
        optimizer={},
    )
    content.update(changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    os.utime(path, (10**9 - age, 10**9 - age))


def config(folder, **hook):
    return Config(
        dict(work_dir=str(folder), default_hooks=dict(checkpoint=hook))
    )


def test_the_newest_by_time_and_not_by_name(tmp_path):
    # The longer training is an older one in the same folder.
    save(tmp_path / 'iter_900.pth', age=50)
    save(tmp_path / 'iter_20.pth', age=5, seed=11)
    save(tmp_path / 'iter_10.pth', age=10)
    save(tmp_path / 'best_mAP_iter_10.pth', age=0)
    found = newest_checkpoint(config(tmp_path))
    assert found == (str(tmp_path / 'iter_20.pth'), 11, [])


def test_of_equally_old_ones_the_longest_training(tmp_path):
    for step in (2, 10, 9):
        save(tmp_path / f'epoch_{step}.pth')
    found = newest_checkpoint(config(tmp_path))
    assert found.path.endswith('epoch_10.pth')


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:-100]), 'cannot be read'),
        (lambda f: f.write_bytes(b''), 'cannot be read'),
        (lambda f: torch.save(dict(state_dict={}), f), 'has no meta'),
    ],
)
def test_a_broken_one_is_passed_over(tmp_path, spoil, reason):
    save(tmp_path / 'iter_2.pth', age=9)
    save(tmp_path / 'iter_4.pth')
    spoil(tmp_path / 'iter_4.pth')
    os.utime(tmp_path / 'iter_4.pth', (2 * 10**9,) * 2)
    found = newest_checkpoint(config(tmp_path))
    assert found.path == str(tmp_path / 'iter_2.pth')
    assert len(found.passed_over) == 1
    assert 'iter_4.pth' in found.passed_over[0]
    assert reason in found.passed_over[0]


def test_none_that_loads_is_an_error(tmp_path):
    (tmp_path / 'iter_2.pth').write_bytes(b'junk')
    (tmp_path / 'iter_4.pth').write_bytes(b'')
    with pytest.raises(UsageError, match=r'none of .*iter_\d.*; .*iter_\d'):
        newest_checkpoint(config(tmp_path))


@pytest.mark.parametrize('exists', [True, False])
def test_an_empty_folder_has_none(tmp_path, exists):
    folder = tmp_path if exists else tmp_path / 'missing'
    if exists:
        (tmp_path / 'iter_3.pth.tmp').write_bytes(b'half')
    assert newest_checkpoint(config(folder)) is None


def test_names_and_folders_of_the_config(tmp_path):
    save(tmp_path / 'store' / 'run' / 'step-7.pth')
    save(tmp_path / 'store' / 'run' / 'iter_9.pth')
    hook = dict(out_dir=str(tmp_path / 'store'), filename_tmpl='step-{}.pth')
    found = newest_checkpoint(config(tmp_path / 'run', **hook))
    assert found.path.endswith('step-7.pth')


def test_weights_alone_cannot_be_resumed(tmp_path):
    torch.save(dict(meta={}, state_dict={}), tmp_path / 'w.pth')
    with pytest.raises(UsageError, match='has no message_hub, a training'):
        seed_to_resume(str(tmp_path / 'w.pth'))
