"""Tests of tools/test.py: evaluation, stored files, errors of use."""

import json

import pytest
import torch
from mmengine.config import Config

from mmps.apis.person_model import PersonModel
from mmps.checkpoints.reading import read_checkpoint
from mmps.results.result_file import read_results
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

CHECKPOINT = 'work_dirs/toy/epoch_1.pth'


def test_evaluates_a_checkpoint(trained):
    words = ('toy.py', CHECKPOINT, '--work-dir', 'eval')
    done = trained.run_warm('test.py', *words)
    assert done.returncode == 0, done.stderr
    assert f'Load checkpoint from {CHECKPOINT}' in done.stdout
    (figures,) = (trained.folder / 'eval').glob('*/2*.json')
    assert json.loads(figures.read_text())['count'] == 8
    (path,) = (trained.folder / 'eval').glob('*/results.json')
    assert str(path.relative_to(trained.folder)) in done.stdout
    results = read_results(path)
    assert results['figures'] == {'count': 8.0}
    assert results['seed'] == {'training': 7, 'test': None}
    # Neither metric nor data set are of person search.
    assert results['protocol'] is results['data'] is None


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder of what was downloaded before."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    return folder


def test_the_python_interface_loads_the_same(cli, search_run, hub, tmp_path):
    """Of a training with EMAHook both take the averaged weights."""
    (hub / 'a.pth').write_bytes(search_run.checkpoint.read_bytes())
    address = 'https://example.org/a.pth'
    work = tmp_path / 'eval'
    for checkpoint in (search_run.checkpoint, address):
        status, err = cli(
            'test.py', search_run.config, checkpoint, '--work-dir', work
        )
        assert status == 0, err
    found = [read_results(p) for p in work.glob('*/results.json')]
    model = PersonModel(load_config(search_run.config), address)
    assert {r['weights']['sha256'] for r in found} == {model.weights_hash}


@pytest.mark.parametrize(
    ('key', 'change', 'message'),
    [
        ('bbox_head.retina_cls.bias', None, 'lacks 1 weights (first: bbox_'),
        ('bbox_head.more', torch.ones(1), 'has in addition 1 weights (first'),
        ('bbox_head.retina_cls.bias', torch.ones(7), 'size mismatch for'),
    ],
)
def test_weights_that_do_not_fit_are_refused_as_in_python(
    cli, search_run, hub, tmp_path, key, change, message
):
    data = read_checkpoint(search_run.checkpoint)
    if change is None:
        del data['state_dict'][key]
    else:
        data['state_dict'][key] = change
    torch.save(data, tmp_path / 'bad.pth')
    torch.save(data, hub / 'bad.pth')
    for bad in (tmp_path / 'bad.pth', 'https://example.org/bad.pth'):
        work = tmp_path / 'eval'
        status, err = cli(
            'test.py', search_run.config, bad, '--work-dir', work
        )
        with pytest.raises(UsageError) as info:
            PersonModel(load_config(search_run.config), bad)
        assert status == 2
        assert message in err
        assert f'checkpoint {bad}: does not fit the config' in err
        assert err.endswith(f'error: {info.value}\n')
        assert not list(work.glob('*/results.json'))


@pytest.mark.slow
def test_two_processes_on_cpus(trained, free_port):
    trained.env['PORT'] = free_port
    options = ('--work-dir', 'two')
    done = trained.run('dist_test.sh', 'toy.py', CHECKPOINT, 2, *options)
    assert done.returncode == 0, done.stderr
    assert 'count: 8' in trained.log('two')
    (path,) = (trained.folder / 'two').glob('*/results.json')
    assert read_results(path)['figures'] == {'count': 8.0}


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['none.py', 'x.pth'], 'config none.py does not exist'),
        (['{c}', 'x.pth'], 'checkpoint x.pth does not exist'),
        (['{c}', '{c}', '--out', 'a.pkl'], 'expected a name that ends in'),
        (['{c}', '{c}', '--out', 'a.npz'], 'needs mmps.PersonSearchMetric'),
        (['{c}', '{c}', '--out', '{d}'], 'is a folder'),
        (['{c}', '{c}', '--launcher', 'pytorch'], 'not started by torchrun'),
        (['{e}', '{c}'], 'has no test_evaluator'),
    ],
)
def test_errors_of_use(cli, tmp_path, args, message):
    config, empty = tmp_path / 'c.py', tmp_path / 'e.py'
    config.write_text(
        f"test_evaluator = dict(type='Other')\nwork_dir = '{tmp_path}/work'\n"
    )
    empty.write_text('model = dict()\n')
    folder = tmp_path / 'folder.npz'
    folder.mkdir()
    filled = [a.format(c=config, e=empty, d=folder) for a in args]
    status, err = cli('test.py', *filled)
    assert status == 2
    assert err.count('\n') == 1
    assert err.startswith('error: ')
    assert message in err
    assert not (tmp_path / 'work').exists()


SEARCH = dict(type='mmps.PersonSearchMetric')
OTHER = dict(type='CocoMetric')


@pytest.mark.parametrize(
    'evaluator',
    [
        SEARCH,
        [OTHER, SEARCH],
        dict(type='Evaluator', metrics=SEARCH),
        dict(type='Evaluator', metrics=[OTHER, SEARCH]),
        [OTHER, dict(type='PersonSearchMetric')],
    ],
)
def test_out_goes_to_the_metric(tool, tmp_path, evaluator):
    cfg = Config(dict(test_evaluator=evaluator))
    out = str(tmp_path / 'new' / 'p.npz')
    tool('test.py').set_outfile(cfg, out)
    metrics = cfg.test_evaluator
    if isinstance(metrics, dict):
        metrics = metrics.get('metrics', metrics)
    found = metrics[-1] if isinstance(metrics, list) else metrics
    assert found.type in ('mmps.PersonSearchMetric', 'PersonSearchMetric')
    assert found.outfile == out
    assert (tmp_path / 'new').is_dir()


def test_out_is_an_option_of_the_metric():
    """Of the real one, so that the name cannot drift."""
    from mmps.evaluation import PersonSearchMetric
    from mmps.utils.cfg_options import _parameters

    assert 'outfile' in _parameters(PersonSearchMetric)


def test_show_dir_turns_the_hook_on(tool):
    cfg = Config(dict(model=dict()))
    tool('test.py').set_show_dir(cfg, 'pictures')
    assert cfg.default_hooks.visualization == dict(
        type='mmdet.DetVisualizationHook', draw=True, test_out_dir='pictures'
    )
    assert cfg.visualizer.type == 'mmdet.DetLocalVisualizer'


def test_show_dir_keeps_the_configs_own_hook(tool):
    hook = dict(type='Own', draw=False, score_thr=0.1)
    cfg = Config(
        dict(
            default_hooks=dict(visualization=hook),
            visualizer=dict(type='OwnVisualizer'),
        )
    )
    tool('test.py').set_show_dir(cfg, 'pictures')
    assert cfg.default_hooks.visualization == dict(
        hook, draw=True, test_out_dir='pictures'
    )
    assert cfg.visualizer.type == 'OwnVisualizer'
