"""Tests of ablation.py: a list of trainings, a table, and resuming."""

import csv
import json

import numpy as np
import pytest

FIGURES = ('mAP', 'top-1', 'recall', 'AP')


@pytest.fixture
def ablation(tool, monkeypatch, tmp_path):
    """The tool with a training that writes figures and nothing else."""
    module = tool('analysis_tools/ablation.py')
    calls = []

    def train(console, config, work_dir, options):
        calls.append((config, work_dir.name, options))
        if 'stop' in config:
            raise KeyboardInterrupt
        folder = work_dir / 'run' / 'vis_data'
        folder.mkdir(parents=True, exist_ok=True)
        seed = int(work_dir.name.removeprefix('seed'))
        row = {f'person_search/{n}': 0.5 + 0.1 * seed for n in FIGURES}
        if 'empty' in config:
            row = {'loss': 1.0}
        text = json.dumps({**row, 'step': 9}) + '\n'
        (folder / 'scalars.json').write_text(text)

    monkeypatch.setattr(module, 'train', train)
    for name in ('one', 'two', 'stop', 'empty'):
        (tmp_path / f'{name}.py').touch()
    monkeypatch.chdir(tmp_path)
    return module, calls


def run(module, monkeypatch, *args):
    monkeypatch.setattr('sys.argv', ['ablation.py', *args])
    module.main()


def test_table_of_means_and_spreads(ablation, monkeypatch, tmp_path, capsys):
    module, calls = ablation
    run(
        module, monkeypatch, 'one.py', 'second=two.py', '--seeds', '0', '2',
        '--work-dir', 'out', '--cfg-options', 'a=1',
    )  # fmt: skip
    assert calls == [
        ('one.py', 'seed0', ['randomness.seed=0', 'a=1']),
        ('two.py', 'seed0', ['randomness.seed=0', 'a=1']),
        ('one.py', 'seed2', ['randomness.seed=2', 'a=1']),
        ('two.py', 'seed2', ['randomness.seed=2', 'a=1']),
    ]
    lines = (tmp_path / 'out' / 'ablation.md').read_text().splitlines()
    spread = np.std([50, 70], ddof=1)
    cell = f'60.0 ± {spread:.1f}'
    assert lines[2] == '| one | 2 | ' + ' | '.join([cell] * 4) + ' |'
    assert lines[3].startswith('| second | 2 |')
    rows = list(csv.reader((tmp_path / 'out' / 'ablation.csv').open()))
    assert rows[1] == ['one', '0', *['50.000'] * 4]
    assert rows[4] == ['second', '2', *['70.000'] * 4]
    assert (tmp_path / 'out' / 'ablation.png').stat().st_size > 1000
    assert '60.0 ± 14.1' in capsys.readouterr().out


def test_goes_on_where_it_stopped(ablation, monkeypatch, tmp_path):
    module, calls = ablation
    with pytest.raises(KeyboardInterrupt):
        run(module, monkeypatch, 'one.py', 'stop.py', '--work-dir', 'out')
    # What was finished is in the table.
    table = (tmp_path / 'out' / 'ablation.md').read_text()
    assert '| one | 1 | 50.0 |' in table
    assert 'stop' not in table
    run(module, monkeypatch, 'one.py', 'two.py', '--work-dir', 'out')
    table = (tmp_path / 'out' / 'ablation.md').read_text()
    assert '| two | 1 | 50.0 |' in table


def test_runs_made_elsewhere_are_in_the_table(ablation, monkeypatch, tmp_path):
    module, calls = ablation
    (tmp_path / 'known.csv').write_text(
        'config,seed,mAP,top-1,detection recall,detection AP\n'
        'one,0,10,20,30,40\n'
        'other,0,1,2,3,4\n'
    )
    args = ['one.py', '--known', 'known.csv', '--work-dir', 'out']
    run(module, monkeypatch, *args)
    assert calls == []
    table = (tmp_path / 'out' / 'ablation.md').read_text()
    assert '| one | 1 | 10.0 | 20.0 | 30.0 | 40.0 |' in table
    assert 'other' not in table
    run(module, monkeypatch, *args, '--seeds', '0', '1')
    assert [call[1] for call in calls] == ['seed1']
    rows = list(csv.reader((tmp_path / 'out' / 'ablation.csv').open()))
    assert rows[1] == ['one', '0', '10.000', '20.000', '30.000', '40.000']
    assert rows[2] == ['one', '1', *['60.000'] * 4]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'expected the columns config, seed, mAP.* got nothing'),
        ('config,run\n', 'got config, run'),
        ('config,seed,mAP,top-1,detection recall,detection AP\none,0,x,2,3,4',
         'known.csv, line 2: expected a name, a seed and 4 figures'),
        ('config,seed,mAP,top-1,detection recall,detection AP\none,0,1',
         'got one,0,1'),
    ],
)  # fmt: skip
def test_tables_of_others_are_checked(
    ablation, monkeypatch, tmp_path, text, message
):
    module, _ = ablation
    from mmps.utils.errors import UsageError

    (tmp_path / 'known.csv').write_text(text)
    with pytest.raises(UsageError, match=message):
        run(module, monkeypatch, 'one.py', '--known', 'known.csv')


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['none.py'], 'config none.py does not exist'),
        (['one.py', 'one=two.py'], 'two rows are called one'),
        (['empty.py'], 'has no mAP or top-1'),
    ],
)
def test_errors_of_use(ablation, monkeypatch, args, message):
    module, _ = ablation
    from mmps.utils.errors import UsageError

    with pytest.raises(UsageError, match=message):
        run(module, monkeypatch, *args)
