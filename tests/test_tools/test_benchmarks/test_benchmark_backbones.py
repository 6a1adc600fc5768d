"""benchmark_backbones.py: size, operations and time beside another model."""

import pytest

from measuring import read_report

TOOL = 'benchmarks/benchmark_backbones.py'
SCENES = 'configs/{}_r18_scenes.py'.format
SMALL = (
    '--size', 160, 96, '--boxes', 5, '--rounds', 1, '--device', 'cpu',
)  # fmt: skip


def test_counts_and_measures(cli, tmp_path):
    out = tmp_path / 'out.json'
    code, err = cli(
        TOOL, SCENES('seqnet/seqnet'), '--beside', SCENES('nae/nae'), *SMALL,
        '--out-json', out,
    )  # fmt: skip
    assert not code, err
    rows, _ = read_report(out)
    assert [row.unit for row in rows] == ['M parameters', 'GFLOPs', 's/image']
    assert {row.what for row in rows} == {'seqnet_r18_scenes'}
    assert {row.beside_what for row in rows} == {'nae_r18_scenes'}
    size, operations, time = rows
    # SeqNet is NAE with one head more before it.
    assert 1 < size.ratio < 2
    assert 1 < operations.ratio < 2.5
    assert min(time.ours, time.beside) > 0


def test_configs_are_there(tool, monkeypatch):
    module = tool(TOOL)
    monkeypatch.setattr('sys.argv', [TOOL])
    args = module.parse_args()
    names = [config.rpartition('/')[2] for config in args.configs]
    assert len(set(names)) == 8
    found = {p.name for p in module.CONFIGS.glob('seqnet_*_prw.py')}
    assert {*names, args.beside.rpartition('/')[2]} <= found


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (('--rounds', 0), '--rounds: expected 1 or more, got 0'),
        (('--beside', 'gone.py'), 'config gone.py does not exist'),
    ],
)
def test_bad_words(cli, words, error):
    code, err = cli(TOOL, *words)
    assert code
    assert error in err
