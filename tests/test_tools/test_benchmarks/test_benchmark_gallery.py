"""Tests of benchmark_gallery.py: figures of small galleries."""

import pytest

from mmps.gallery.exact import ExactGallery

from measuring import growth_exponent, read_report

TOOL = 'benchmarks/benchmark_gallery.py'


def words(folder, *more):
    return (
        '--dim', 16, '--queries', 12, '-k', 20, '--repeat', 1,
        '--dir', folder, '--out-json', folder / 'a.json', *more,
    )  # fmt: skip


def test_figures_of_small_galleries(cli, tmp_path):
    code, err = cli(
        TOOL, *words(tmp_path), '--rows', 300, 2500, '--dtype', 'float16'
    )
    assert not code, err
    rows, figures = read_report(tmp_path / 'a.json')
    found = figures['gallery']
    assert [one['rows'] for one in found] == [300, 2500]
    for one, lines in zip(found, (rows[:5], rows[5:10])):
        assert one['equals_brute_force']
        assert one['ratio'] == pytest.approx(
            one['search_seconds'] / one['product_seconds']
        )
        assert one['rows_per_second_added'] > 0
        assert lines[2].ours == one['search_seconds']
        assert lines[2].ratio == one['ratio']
    for name, row in zip(('search', 'one_query'), rows[10:], strict=True):
        seconds = [one[f'{name}_seconds'] for one in found]
        assert row.ours == growth_exponent([300, 2500], seconds)
    assert [p.name for p in tmp_path.iterdir()] == ['a.json']


def test_wrong_results_are_told(cli, tmp_path, monkeypatch):
    search = ExactGallery.search
    monkeypatch.setattr(
        ExactGallery, 'search', lambda self, q, k: search(self, -q, k)
    )
    code, _ = cli(TOOL, *words(tmp_path), '--rows', 300)
    assert code == 1
    rows, _ = read_report(tmp_path / 'a.json')
    assert 'NOT EQUAL' in rows[2].what


def test_disk_is_too_small(cli, tmp_path):
    code, err = cli(TOOL, *words(tmp_path), '--rows', 10**14)
    assert code
    assert f'--dir {tmp_path}' in err
    assert 'GiB are free' in err
