"""Tests of benchmark.py: one table of all parts."""

import json

import pytest

from measuring import (
    Row,
    method_configs,
    read_report,
    write_report,
)

TOOL = 'benchmarks/benchmark.py'
ROWS = [
    dict(what='prw', unit='queries/s', ours=300.0, beside=5.0),
    dict(what='prw', unit='MiB', ours=1.0),
]
PART = """
import sys
print('words', sys.argv[1:])
with open(sys.argv[sys.argv.index('--out-json') + 1], 'w') as file:
    file.write({text!r})
sys.exit({status})
"""


@pytest.fixture
def parts(tmp_path):
    """Puts a script in place of a part, which ends with a status."""

    def add(name, status=0, rows=ROWS):
        text = json.dumps({'rows': rows})
        file = tmp_path / f'benchmark_{name}.py'
        file.write_text(PART.format(text=text, status=status))

    return add


def run(tool, monkeypatch, folder, *words):
    module = tool(TOOL)
    monkeypatch.setattr(module, 'HERE', folder)
    argv = [TOOL, '--out-json', str(folder / 'all.json'), *words]
    monkeypatch.setattr('sys.argv', argv)
    return module.main()


def test_one_table_file_and_page(parts, tool, monkeypatch, tmp_path, capfd):
    parts('eval'), parts('gallery')
    page = tmp_path / 'page.md'
    page.write_text('# A\n<!-- benchmark -->\n<!-- /benchmark -->\n')
    words = ('--parts', 'evaluation', 'gallery', '--page', str(page))
    assert run(tool, monkeypatch, tmp_path, *words) == 0
    rows, rest = read_report(tmp_path / 'all.json')
    assert [row.part for row in rows] == ['evaluation'] * 2 + ['gallery'] * 2
    # Only the evaluation is held to fifty times the loop.
    assert [row.target for row in rows] == ['>= 50', None, None, None]
    assert rest['failed'] == []
    assert rest['machine']['torch']
    text = page.read_text()
    assert '| evaluation | prw | 300 queries/s |' in text
    assert text.startswith('# A\n')
    out, _ = capfd.readouterr()
    assert "'--rows', '100000', '1000000', '10000000'" in out
    assert 'all.json' in out


def test_what_was_measured_is_kept(parts, tool, monkeypatch, tmp_path, capfd):
    # The status of a result that is wrong: its line says so.
    wrong = dict(what='difference', unit='', ours=1.0, target='<= 0.1')
    parts('eval', 1, [wrong]), parts('gallery')
    (tmp_path / 'benchmark_loading.py').write_text('raise SystemExit(3)')
    page = tmp_path / 'page.md'
    page.write_text('<!-- benchmark -->\nold\n<!-- /benchmark -->\n')
    words = ('--parts', 'evaluation', 'loading', 'gallery', '--quick')
    code = run(tool, monkeypatch, tmp_path, *words, '--page', str(page))
    assert code == 1
    rows, rest = read_report(tmp_path / 'all.json')
    assert [row.part for row in rows] == ['evaluation'] + ['gallery'] * 2
    assert rows[0].met is False
    assert rest['failed'] == ['evaluation', 'loading']
    assert 'old' in page.read_text()  # no page with half a table
    out, err = capfd.readouterr()
    assert 'loading ended with status 3' in out
    assert 'error: failed: evaluation, loading' in err
    assert "'--scale', '0.05'" in out


def test_a_look_is_held_to_no_target(parts, tool, monkeypatch, tmp_path):
    parts('eval')
    run(tool, monkeypatch, tmp_path, '--parts', 'evaluation', '--quick')
    rows, _ = read_report(tmp_path / 'all.json')
    assert [row.target for row in rows] == [None, None]


def test_a_page_without_marks_is_told_first(cli, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('nothing\n')
    code, err = cli(TOOL, '--page', page)
    assert code
    assert f'--page {page}: expected <!-- benchmark -->' in err
    code, err = cli(TOOL, '--page', tmp_path / 'gone.md')
    assert code
    assert 'gone.md does not exist' in err


def test_words_of_every_part_are_taken(tool, monkeypatch):
    module = tool(TOOL)
    for part in module.PARTS.values():
        for quick in (False, True):
            _, script, *words = module.command_of(part, quick, 'cpu')
            monkeypatch.setattr('sys.argv', [script, *words])
            args = tool(f'benchmarks/benchmark_{part.script}').parse_args()
            assert args.out_json is None
            if part.on_device:
                assert args.device == 'cpu'
            if words and words[0].endswith('.py'):
                assert set(args.configs) <= set(method_configs(full_size=True))


def test_every_target_is_that_of_a_line(tool, tmp_path):
    """A renamed line would lose its target unseen."""
    module = tool(TOOL)
    lines = [('evaluation', 'prw-cbgm', 'queries/s')]
    for full_size in (False, True):
        for config in method_configs(full_size):
            name = config.rpartition('/')[2].removesuffix('.py')
            lines += [
                ('prediction', name, 's/image'),
                ('training', name, 's/step'),
                ('light PCNet and OIM', name, 's/image'),
                ('light PCNet and OIM', name, 'MiB'),
            ]
    lines.append(('training', 'OIM step, 512 people', 's/step'))
    rows = [
        module.with_target(Row(what, unit, 1.0, 1.0, part=part))
        for part, what, unit in lines
    ]
    write_report(tmp_path / 'a.json', rows)
    found = {row.target for row in read_report(tmp_path / 'a.json')[0]}
    assert found == {target for *_, target in module.TARGETS} | {None}
    by_name = {(row.part, row.what): row.target for row in rows}
    assert by_name['prediction', 'pcnet_r50_prw'] == '<= 1.3'
    assert by_name['prediction', 'pcnet-multi_r50_prw'] is None
    assert by_name['training', 'ugas-nae_r18_scenes'] is None
