"""Tests of `make demo` on a handful of frames."""

import re

import pytest

from mmps.visualization.training import read_scalars

pytestmark = pytest.mark.slow

TINY = (
    '--train-frames 8 --test-frames 8 --train-ids 6 --test-ids 3 '
    '--cameras 3 --seed 1'
)
CONFIG = """
_base_ = '{root}/configs/pcnet/pcnet_r18_scenes.py'
train_cfg = dict(max_iters=2, val_interval=2)
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture
def demo(tool, monkeypatch, tmp_path):
    from .conftest import ROOT

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    module = tool('demo.py')
    options = TINY.split()
    monkeypatch.setattr(module, 'SCENES', ['--size', '192', '108'])
    monkeypatch.setattr(
        module,
        'TEST_SETS',
        {
            'known cameras': ('scenes', options),
            'new cameras': (
                'new',
                [*options, '--train-cameras', '1', '--test-cameras', '2', '3'],
            ),
        },
    )
    config = tmp_path / 'tiny.py'
    config.write_text(CONFIG.format(root=ROOT))
    work_dir = tmp_path / 'work'
    monkeypatch.setattr(
        'sys.argv',
        [
            'demo.py',
            *('--config', str(config)),
            *('--data', str(tmp_path / 'data')),
            *('--work-dir', str(work_dir)),
        ],
    )
    return module, work_dir


def test_demo_trains_tests_and_draws_and_goes_on_where_it_was(
    demo, capfd, monkeypatch
):
    module, work_dir = demo
    module.main()
    out = capfd.readouterr().out
    assert (work_dir / 'iter_2.pth').is_file()
    # Validation is drawn at its training step.
    steps = read_scalars(work_dir)['person_search/mAP'][:, 0]
    assert steps.tolist() == [2]
    rows = re.findall(r'(known|new) cameras[ │|]+([\d.]+)', out)
    assert [name for name, _ in rows] == ['known', 'new']
    assert all(0 <= float(figure) <= 100 for _, figure in rows)
    pictures = work_dir / 'pictures'
    for pattern in (
        'ranks/*.jpg', 'points/*.png', 'training.png', '*cmc*', 'search.png',
    ):  # fmt: skip
        found = list(pictures.glob(pattern))
        assert found, pattern
        assert all(file.stat().st_size > 1000 for file in found)

    # The second time it only looks at what is there.
    monkeypatch.setattr(module, 'run', lambda *command: None)
    module.main()
    # Wrapped somewhere: the line has paths in it.
    assert 'not trained again' in ' '.join(capfd.readouterr().out.split())


def test_a_failed_training_says_why(demo, monkeypatch):
    from mmps.utils.errors import UsageError

    module, work_dir = demo
    monkeypatch.setattr(module, 'run', lambda *command: None)
    with pytest.raises(UsageError, match='(?s)training failed, see .*log'):
        module.main()
    assert 'error:' in (work_dir / 'train.log').read_text()
