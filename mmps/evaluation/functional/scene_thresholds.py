"""What thresholds of the gallery filter save, and what they cost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mmps.structures import SearchGroundTruth, SearchPredictions

from .report import main_result
from .scene_filtering import SceneFilter, SceneFiltering
from .search_settings import SearchSettings


class SceneThreshold(NamedTuple):
    """What a threshold saves, and what it costs.

    Attributes:
        thr: The threshold.
        skipped: Share of the galleries' frames that are not searched.
        lost: Share of those with the person among them that are not.
        mean_ap: mAP.
        top1: Top-1.
    """

    thr: float
    skipped: float
    lost: float
    mean_ap: float
    top1: float


def scene_thresholds(
    truth: SearchGroundTruth,
    preds: SearchPredictions,
    settings: SearchSettings,
    shares: Sequence[float] = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9),
) -> list[SceneThreshold]:
    """Search with thresholds that skip given shares of all frames.

    Args:
        truth: Ground truth of the test set.
        preds: Its predictions, with scene embeddings.
        settings: Of the search; its threshold is replaced.
        shares: Of the pairs of queries and frames. Defaults to 0 to 0.9.

    Returns:
        For each share what :func:`main_result` gives.
    """
    whole = SceneFilter(preds.align(truth), SceneFiltering())
    scores = whole.scores(np.arange(truth.num_queries))
    found = []
    for share in shares:
        thr = float(np.quantile(scores, share)) if share else 0.0
        own = replace(settings, scene_filter=SceneFiltering(thr))
        result = main_result(own.evaluate(truth, preds))
        found.append(
            SceneThreshold(
                thr,
                result.skipped_frames,
                result.lost_frames,
                result.mean_ap,
                result.top(1),
            )
        )
    return found


def format_thresholds(found: Sequence[SceneThreshold]) -> str:
    """Write thresholds as a table, in per cent.

    Args:
        found: What :func:`scene_thresholds` gives.

    Returns:
        Lines of text without a last line break.
    """
    names = ('skipped', 'lost', 'mAP', 'top-1')
    lines = [f'{"scene thr":<10}' + ''.join(f'{n:>9}' for n in names)]
    lines += [
        f'{row.thr:<10.4f}' + ''.join(f'{100 * v:9.2f}' for v in row[1:])
        for row in found
    ]
    lines.append(
        'skipped: frames of the galleries; lost: those with the person'
    )
    return '\n'.join(lines)
