"""Tests of published checkpoints: their content, and equal results."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from mmps import __version__
from mmps.apis.person_searcher import PersonSearcher
from mmps.checkpoints.reading import hash_weights, read_checkpoint
from mmps.utils.config import load_config

TOOL = 'model_converters/publish_model.py'


@pytest.fixture
def published(tool, search_run, tmp_path):
    """The checkpoint of the training, and the two files made of it."""
    paths = tool(TOOL).publish(search_run.checkpoint, tmp_path / 'small')
    return search_run.checkpoint, *paths


def test_weights_and_a_small_meta_stay(published):
    source, pth, safe = published
    before, after = read_checkpoint(source), read_checkpoint(pth)
    assert {'optimizer', 'message_hub', 'ema_state_dict'} <= before.keys()
    assert after.keys() == {'state_dict', 'meta'}
    state = before['state_dict']
    assert after['state_dict'].keys() == state.keys()
    for key, value in after['state_dict'].items():
        assert torch.equal(value, state[key])
        assert value.untyped_storage().nbytes() == value.nbytes
    assert any('memory.prototypes' in key for key in state)
    # Averaged, not those that the optimizer has arrived at.
    own = before['ema_state_dict']
    assert any(
        not torch.equal(own[f'module.{k}'], v) for k, v in state.items()
    )
    assert after['meta'] == dict(
        cfg=before['meta']['cfg'],
        seed=before['meta']['seed'],
        dataset_meta=json.loads(json.dumps(before['meta']['dataset_meta'])),
        epoch=0,
        iter=2,
        mmps_version=__version__,
        weights_sha256=hash_weights(state),
    )
    assert pth.stat().st_size < 0.4 * source.stat().st_size
    other = read_checkpoint(safe)
    assert other['meta'] == after['meta']
    assert hash_weights(other['state_dict']) == hash_weights(state)


def test_plain_torch_reads_it(published):
    _, pth, _ = published
    data = torch.load(pth, weights_only=True)
    assert type(data['state_dict']) is dict


def test_names_are_hashes_and_the_same_again(cli, published, tmp_path, capsys):
    source, pth, safe = published
    digest = hashlib.sha256(pth.read_bytes()).hexdigest()
    assert pth.name == f'small-{digest[:8]}.pth'
    assert safe == pth.with_suffix('.safetensors')
    first = [p.read_bytes() for p in (pth, safe)]
    (tmp_path / 'folder').mkdir()
    # The name, the suffix of which may be given, a folder, and from files
    # that are published already.
    for given, out, stem in (
        (source, 'small', 'small'),
        (source, 'b.pth', 'b'),
        (source, 'v1.5', 'v1.5'),
        (source, 'folder', 'folder/iter_2'),
        (source, 'new/c', 'new/c'),
        (pth, 'd', 'd'),
        (safe, 'e.safetensors', 'e'),
    ):
        assert cli(TOOL, given, tmp_path / out) == (0, '')
        for content, suffix in zip(first, ('.pth', '.safetensors')):
            path = tmp_path / f'{stem}-{digest[:8]}{suffix}'
            assert path.read_bytes() == content
    assert not list(tmp_path.rglob('*.tmp'))


def test_it_says_what_it_wrote(
    tool, search_run, tmp_path, monkeypatch, capsys
):
    shutil.copy(search_run.checkpoint, tmp_path / 'iter_2.pth')
    monkeypatch.setattr('sys.argv', [TOOL, str(tmp_path / 'iter_2.pth')])
    tool(TOOL).main()
    lines = capsys.readouterr().out.splitlines()
    files = sorted(tmp_path.glob('iter_2-*'))
    assert [line.split()[0] for line in lines[:2]] == list(map(str, files))
    for line, file in zip(lines, files):
        content = file.read_bytes()
        assert hashlib.sha256(content).hexdigest() == line.split()[-1]
        assert f'{len(content) / 2**20:.1f} MiB' in line
    state = read_checkpoint(files[0])['state_dict']
    assert lines[2].split() == ['weights', 'sha256', hash_weights(state)]


def test_predictions_are_equal_to_the_bit(
    cli, search_run, published, tmp_path
):
    stored = []
    for i, checkpoint in enumerate(published):
        out = tmp_path / f'{i}.npz'
        status, err = cli(
            'test.py', search_run.config, checkpoint, '--out', out,
            '--work-dir', tmp_path / 'work',
        )  # fmt: skip
        assert status == 0, err
        with np.load(out) as data:
            stored.append({k: data[k].tobytes() for k in data.files})
    assert len(stored[0]['embeddings']) > 0
    assert stored[0] == stored[1] == stored[2]


def test_the_searcher_knows_it_as_the_same_model(search_run, published):
    cfg = load_config(search_run.config)
    image = sorted(search_run.images.glob('*.jpg'))[0]
    found, headers = [], []
    for checkpoint in published:
        searcher = PersonSearcher(cfg, checkpoint, det_thr=0.0)
        headers.append(searcher.header())
        (people,) = searcher.detect([image])
        assert len(people)
        found.append([x.tobytes() for x in vars(people).values()])
    assert found[0] == found[1] == found[2]
    meta = read_checkpoint(published[1])['meta']
    for header in headers:
        assert header.model_hash == meta['weights_sha256']


def test_other_tools_load_both(cli, search_run, published, tmp_path):
    for number, checkpoint in enumerate(published[1:]):
        pictures = tmp_path / f'pictures{number}'
        status, err = cli(
            'analysis_tools/vis_points.py', search_run.config, checkpoint,
            '--out-dir', pictures, '--num', 2,
        )  # fmt: skip
        assert status == 0, err
        assert len(list(pictures.iterdir())) == 2
        gallery = tmp_path / f'gallery{number}'
        model = ('--model', search_run.config, checkpoint, '--det-thr', 0)
        image = sorted(search_run.images.glob('*.jpg'))[0]
        status, err = cli('search.py', 'index', gallery, image, *model)
        assert status == 0, err
        box = ('--box', 100, 50, 150, 160)
        status, err = cli('search.py', 'query', gallery, image, *model, *box)
        assert status == 0, err


def test_training_starts_from_both_but_does_not_go_on(
    cli, search_run, published, tmp_path
):
    _, pth, safe = published
    config, work = tmp_path / 'start.py', tmp_path / 'work'
    config.write_text(
        f'{search_run.config.read_text()}\n'
        f'work_dir = "{work}"\nload_from = "{pth}"\n'
        'train_cfg.update(max_iters=1)\nval_cfg = None\n'
        'val_dataloader = None\nval_evaluator = None\n'
        'model.update(backbone=dict(init_cfg=dict(_delete_=True,'
        f"type='Pretrained', checkpoint='{safe}', prefix='backbone')))\n"
    )
    status, err = cli('train.py', config)
    assert status == 0, err
    (log,) = work.glob('*/*.log')
    log = log.read_text()
    assert f'Load checkpoint from {pth}' in log
    assert 'do not match exactly' not in log
    for checkpoint in (pth, safe):
        status, err = cli('train.py', config, '--resume', checkpoint)
        assert status == 2
        assert 'a training cannot go on from it' in err


def test_what_others_have_saved(tool, tmp_path):
    """State dicts, wrapped models, tied weights, views, odd metas."""
    publish = tool(TOOL).publish
    big = torch.arange(1000.0).reshape(10, 100)
    state = {'module.a': big[2:4].t(), 'module.b': big[3], 'c': big}
    meta = dict(
        epoch='last',
        config='raise SystemExit',
        dataset_meta=dict(
            classes=('a',), ids=np.arange(2), score=np.float32(0.5), odd={1},
            nothing=None,
        ),
    )  # fmt: skip
    for data in (state, dict(state_dict=state, meta=meta), dict(
        state_dict=state, meta='x', author=5)):  # fmt: skip
        torch.save(data, tmp_path / 'in.pth')
        for path in publish(tmp_path / 'in.pth', tmp_path / 'out'):
            read = read_checkpoint(path)
            assert set(read['state_dict']) == {'a', 'b', 'c'}
            assert torch.equal(read['state_dict']['a'], big[2:4].t())
            names = {'mmps_version', 'weights_sha256'}
            if data.get('meta') is meta:
                names |= {'dataset_meta'}
                assert read['meta']['dataset_meta'] == dict(
                    classes=['a'], ids=[0, 1], score=0.5
                )
            assert read['meta'].keys() == names


@pytest.mark.parametrize(
    ('data', 'out', 'message'),
    [
        (dict(meta={}), 'a', 'in.pth: holds no weights'),
        (dict(state_dict=[1]), 'a', 'in.pth: state_dict: expected a dict'),
        ([1], 'a', 'in.pth: expected a dict'),
        (dict(a=torch.ones(1)), 'in.pth/a', 'in.pth: File exists'),
    ],
)
def test_errors_of_use(cli, tmp_path, data, out, message):
    torch.save(data, tmp_path / 'in.pth')
    status, err = cli(TOOL, tmp_path / 'in.pth', tmp_path / out)
    assert status == 2
    assert message in err
    assert err.count('\n') == 1
    assert len(list(tmp_path.iterdir())) == 1
