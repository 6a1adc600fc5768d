"""Tests of compare_results.py: output and exit status."""

import copy

import pytest

from mmps.results.result_file import write_results

TOOL = 'analysis_tools/compare_results.py'
RESULTS = dict(
    figures={'person_search/mAP': 0.5, 'person_search/top-1': 0.75},
    protocol=dict(main='100', evaluated=['100'], det_thr=0.5),
    inference=dict(test_cfg=dict(nms=dict(iou_threshold=0.4))),
    config=dict(
        name='a.py', sha256='c0', content=dict(optimizer=dict(lr=0.003))
    ),
    weights=dict(sha256='0123456789abcdef', iter=900),
    data=dict(name='PRW', split='test', counts=dict(), sha256='d0'),
    versions=dict(torch='2.13'),
)


@pytest.fixture
def compare(tmp_path, tool, monkeypatch, capsys):
    """Run the tool on the results above and on changed ones."""
    first, second = tmp_path / 'a.json', tmp_path / 'b.json'
    module = tool(TOOL)
    monkeypatch.setattr(module.console, '_width', 120)

    def run(change, *options):
        changed = copy.deepcopy(RESULTS)
        change(changed)
        write_results(first, RESULTS)
        write_results(second, changed)
        argv = [TOOL, str(first), str(second), *options]
        monkeypatch.setattr('sys.argv', argv)
        status = module.main()
        lines = capsys.readouterr().out.splitlines()
        return status, [' '.join(line.split()) for line in lines]

    return run


def test_the_same(compare):
    status, out = compare(lambda results: None)
    assert status == 0
    assert out[0].endswith('a.json (a.py)')
    assert '│ person_search/mAP │ 0.5000 │ 0.5000 │ same │' in out
    assert out[-2] == 'the same: protocol, data, inference, config, ' + (
        'weights, versions'
    )
    assert out[-1].startswith('same figures: protocol, data')


def test_figures_differ(compare):
    def change(results):
        results['figures'].update(
            {'person_search/mAP': 0.5123, 'person_search/top-1': 0.75 + 1e-15}
        )
        results['weights']['sha256'] = 'fedcba9876543210'
        results['config'].update(
            name='b.py', sha256='c1', content=dict(optimizer=dict(lr=0.001))
        )

    status, out = compare(change)
    assert status == 1
    assert '│ person_search/mAP │ 0.5000 │ 0.5123 │ +0.0123 │' in out
    assert '│ person_search/top-1 │ 0.7500 │ 0.7500 │ +1.0e-15 │' in out
    assert '│ sha256 │ 0123456789ab │ fedcba987654 │' in out
    assert 'config: 1 settings differ (--config)' in out
    assert not any('optimizer.lr' in line for line in out)
    assert out[-1] == (
        'figures differ: same protocol and data, other config and weights'
    )
    _, out = compare(change, '--config')
    assert '│ optimizer.lr │ 0.003 │ 0.001 │' in out


def test_not_comparable(compare):
    def change(results):
        results['protocol'] = dict(main='50', evaluated=['50'], det_thr=0.5)
        del results['figures']['person_search/top-1']

    status, out = compare(change)
    assert status == 2
    assert '│ person_search/top-1 │ 0.7500 │ │ │' in out
    assert out[-1] == 'not comparable: galleries of 100 and 50 frames'


def test_errors_of_use(cli, tmp_path):
    file = tmp_path / 'a.json'
    write_results(file, RESULTS)
    status, err = cli(TOOL, file, 'none.json')
    assert status == 2
    assert err == 'error: result file none.json does not exist\n'
    junk = tmp_path / 'junk.json'
    junk.write_text('{}')
    status, err = cli(TOOL, junk, file)
    assert status == 2
    assert 'junk.json: expected format' in err
    assert err.count('\n') == 1
