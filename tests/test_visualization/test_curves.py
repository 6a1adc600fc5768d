"""Tests of curves: they show the evaluation's figures."""

import numpy as np
import pytest

from mmps.evaluation.functional import evaluate_search, sample_gallery
from mmps.testing import noisy_predictions, random_ground_truth
from mmps.visualization import (
    plot_cmc,
    plot_gallery_sizes,
    plot_similarities,
)


@pytest.fixture
def truth():
    return random_ground_truth(60, num_queries=12)


@pytest.fixture
def preds(truth):
    return noisy_predictions(truth, 8, embedding_noise=2)


def legend_of(axes):
    legend = axes.get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    return texts, legend.get_title().get_text()


def test_cmc(truth, preds):
    results = evaluate_search(
        truth, preds, 0.4, protocols=('regular', 'cross-camera')
    )
    [axes] = plot_cmc(results, max_rank=12).axes
    for line, result in zip(axes.lines, results.values()):
        assert line.get_xdata().tolist() == list(range(1, 13))
        wanted = [100 * result.top(k) for k in range(1, 13)]
        np.testing.assert_allclose(line.get_ydata(), wanted)
    low, high = axes.get_ylim()
    assert low < min(line.get_ydata().min() for line in axes.lines)
    assert high > 100
    assert axes.get_xticks()[0] == 1
    texts, title = legend_of(axes)
    first = results['regular']
    assert texts[0] == (
        f'regular: top-1 {100 * first.top(1):.1f}, '
        f'mAP {100 * first.mean_ap:.1f}'
    )
    assert texts[1].startswith('cross-camera: ')
    assert title == 'detections of score ≥ 0.4'
    with pytest.raises(ValueError, match='max_rank: expected 1 or more'):
        plot_cmc(results, 0)


def test_cmc_of_many_results_and_of_none(truth, preds):
    for size in range(5, 13):
        truth.galleries[str(size)] = sample_gallery(truth, size)
    [axes] = plot_cmc(evaluate_search(truth, preds)).axes
    looks = {(line.get_color(), line.get_marker()) for line in axes.lines}
    assert len(looks) == 8
    truth.galleries.clear()
    truth.camera_ids[:] = 0
    with pytest.warns(UserWarning, match='nobody to find'):
        results = evaluate_search(truth, preds, protocols=['cross-camera'])
    [axes] = plot_cmc(results, 1).axes
    assert np.isnan(axes.lines[0].get_ydata()).all()


def test_gallery_sizes(truth, preds):
    sizes = [5, 20, 50]
    truth.galleries |= {str(s): sample_gallery(truth, s) for s in sizes}
    results = list(evaluate_search(truth, preds).values())
    [axes] = plot_gallery_sizes(sizes, results, 'random').axes
    top1, mean_ap = axes.lines
    for line in (top1, mean_ap):
        assert list(line.get_xdata()) == sizes
    np.testing.assert_allclose(
        mean_ap.get_ydata(), [100 * r.mean_ap for r in results]
    )
    np.testing.assert_allclose(
        top1.get_ydata(), [100 * r.top(1) for r in results]
    )
    assert legend_of(axes) == (
        ['top-1', 'mAP'],
        'random\ndetections of score ≥ 0.5',
    )
    with pytest.raises(ValueError, match='one for each of 3 results, got 2'):
        plot_gallery_sizes([5, 20], results)
    with pytest.raises(ValueError, match='got 0'):
        plot_gallery_sizes([], [])


def test_similarities():
    edges = np.linspace(-1, 1, 5)
    same, different = np.array([0, 0, 1, 3]), np.array([0, 40, 10, 0])
    figure = plot_similarities(edges, same, different)
    [axes] = figure.axes
    outlines = [p for p in axes.patches if not p.get_fill()]
    for patch, share in zip(outlines, ([0, 80, 20, 0], [0, 0, 25, 75])):
        np.testing.assert_allclose(patch.get_data().values, share)
    assert axes.get_xlim() == (-0.5, 1.0)
    assert legend_of(axes)[0] == [
        'different people: 50 pairs',
        'same person: 4 pairs',
    ]
    nothing = np.zeros(4, int)
    figure = plot_similarities(edges, nothing, nothing)
    assert not any(p.get_data().values.any() for p in figure.axes[0].patches)


def test_figures_are_written(truth, preds, tmp_path):
    results = evaluate_search(truth, preds)
    plot_cmc(results).savefig(tmp_path / 'cmc.png')
    assert (tmp_path / 'cmc.png').read_bytes().startswith(b'\x89PNG')
