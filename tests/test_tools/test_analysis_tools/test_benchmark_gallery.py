import json

import numpy as np
import pytest

from mmps.gallery import Matches


@pytest.fixture
def benchmark(tool):
    return tool('analysis_tools/benchmark_gallery.py')


def test_figures_of_small_galleries(benchmark, monkeypatch, tmp_path, capsys):
    out = tmp_path / 'a.json'
    words = (
        f'benchmark_gallery.py --rows 300 2500 --dim 16 --queries 12 -k 20 '
        f'--repeat 2 --dir {tmp_path} --out-json {out} --dtype float16'
    )
    monkeypatch.setattr('sys.argv', words.split())
    benchmark.main()
    found = json.loads(out.read_text())
    assert [one['rows'] for one in found] == [300, 2500]
    for one in found:
        assert one['equals_brute_force']
        assert one['ratio'] == pytest.approx(
            one['search_seconds'] / one['product_seconds']
        )
        assert one['rows_per_second_added'] > 0
    assert 'equal' in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ['a.json']


def test_wrong_results_are_told(benchmark):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 8)).astype(np.float32)
    sims = vectors[:3].astype(np.float64) @ vectors.T.astype(np.float64)
    ids = np.argsort(-sims, axis=1, kind='stable')[:, :5]
    parts = [vectors[:70], vectors[70:]]
    right = Matches(ids, np.take_along_axis(sims, ids, 1))
    assert benchmark.is_brute_force(right, vectors[:3], parts, 5)
    ids = ids.copy()
    ids[2, [3, 4]] = ids[2, [4, 3]]
    wrong = Matches(ids, right.similarities)
    assert not benchmark.is_brute_force(wrong, vectors[:3], parts, 5)
