"""Curves of search accuracy.

Figures are made without pyplot: no window system, no global state.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from mmps.evaluation.functional import ProtocolResult

# Okabe and Ito's colours, which people with any colour vision can tell apart.
SAME_COLOUR, DIFFERENT_COLOUR = '#0072B2', '#D55E00'
_COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9']
_MARKERS = 'osD^vP'


def plot_cmc(results: dict[str, ProtocolResult], max_rank: int = 20) -> Figure:
    """Draw top-1 to top-``max_rank`` of every result.

    Args:
        results: By name, as ``evaluate_search`` returns them.
        max_rank: Last rank.

    Returns:
        The figure.

    Raises:
        ValueError: ``max_rank`` is not positive.
    """
    if max_rank < 1:
        raise ValueError(f'max_rank: expected 1 or more, got {max_rank}')
    figure, axes = _figure('first k answers', 'queries with a right one (%)')
    ranks = np.arange(1, max_rank + 1)
    lowest = 100.0
    for i, result in enumerate(results.values()):
        curve = 100 * result.cmc(max_rank)
        lowest = min(lowest, np.nanmin(curve, initial=100.0))
        axes.plot(
            ranks,
            curve,
            color=_COLOURS[i % len(_COLOURS)],
            marker=_MARKERS[i // len(_COLOURS) % len(_MARKERS)],
            markersize=3,
            label=f'{result.name}: top-1 {curve[0]:.1f}, '
            f'mAP {100 * result.mean_ap:.1f}',
        )
    axes.set_xticks(_rank_ticks(max_rank))
    axes.set_ylim(max(0.0, 10 * np.floor(lowest / 10) - 5), 101)
    axes.legend(loc='lower right', title=_threshold(results))
    return figure


def plot_gallery_sizes(
    sizes: list[int], results: list[ProtocolResult], title: str = ''
) -> Figure:
    """Draw mAP and top-1 over the number of frames in the gallery.

    Args:
        sizes: Frames per query, rising.
        results: One for each size, not empty.
        title: What the galleries are.

    Returns:
        The figure.

    Raises:
        ValueError: Not one result for each size, or none at all.
    """
    if not sizes or len(sizes) != len(results):
        raise ValueError(
            f'sizes: expected one for each of {len(results)} results, got '
            f'{len(sizes)}'
        )
    figure, axes = _figure('frames in the gallery', 'per cent')
    curves = {
        'top-1': [100 * result.top(1) for result in results],
        'mAP': [100 * result.mean_ap for result in results],
    }
    for (name, curve), colour in zip(curves.items(), _COLOURS):
        axes.plot(sizes, curve, 'o-', color=colour, label=name)
        for size, value in zip(sizes, curve):
            axes.annotate(
                f'{value:.1f}',
                (size, value),
                xytext=(0, 6),
                textcoords='offset points',
                ha='center',
                fontsize=8,
            )
    axes.set_xscale('log')
    axes.set_xticks(sizes)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.margins(x=0.08, y=0.15)
    named = {result.name: result for result in results}
    axes.legend(title='\n'.join(filter(None, [title, _threshold(named)])))
    return figure


def plot_similarities(
    edges: np.ndarray, same: np.ndarray, different: np.ndarray
) -> Figure:
    """Draw how similar a query is to itself and to everyone else.

    Both histograms are scaled to the same area: different people are
    thousands of times more.

    Args:
        edges: (n + 1,) bin edges.
        same: (n,) counts of pairs of one person.
        different: (n,) counts of pairs of two people.

    Returns:
        The figure.
    """
    figure, axes = _figure('similarity', 'share of pairs in a bin (%)')
    for name, counts, colour in (
        ('different people', different, DIFFERENT_COLOUR),
        ('same person', same, SAME_COLOUR),
    ):
        total = int(counts.sum())
        share = 100 * counts / max(total, 1)
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(
            share, edges, color=colour, label=f'{name}: {total:,} pairs'
        )
    filled = np.flatnonzero(same + different)
    if len(filled):
        axes.set_xlim(edges[filled[0]], edges[filled[-1] + 1])
    axes.set_ylim(0, None)
    axes.legend()
    return figure


def _figure(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.2), dpi=120, layout='constrained')
    axes = figure.add_subplot()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    return figure, axes


def _rank_ticks(max_rank: int) -> list[int]:
    """1, and then round numbers."""
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10], integer=True).tick_values(
        0, max_rank
    )
    return [1, *(int(t) for t in ticks if 1 < t <= max_rank)]


def _threshold(results: dict[str, ProtocolResult]) -> str:
    """The detection threshold, which every figure states."""
    thresholds = {result.det_thr for result in results.values()}
    return ', '.join(f'detections of score ≥ {thr:g}' for thr in thresholds)
