"""Results as a table for people and as plain values for files."""

import math
from typing import Any

from .context import ContextMatching
from .detection import DetectionResult
from .search_evaluation import ProtocolResult

_DEFAULT_GALLERY = '100'


def main_result(results: dict[str, ProtocolResult]) -> ProtocolResult:
    """The result that is quoted without a name.

    CUHK-SYSU's gallery of 100 where it was evaluated, else the first.

    Args:
        results: What ``evaluate_search`` returns, not empty.

    Returns:
        One of them.
    """
    return results.get(_DEFAULT_GALLERY) or next(iter(results.values()))


def metrics_of(
    results: dict[str, ProtocolResult], detection: DetectionResult
) -> dict[str, float]:
    """Put all figures under flat names, as a metric returns them.

    Args:
        results: What ``evaluate_search`` returns, not empty.
        detection: What ``evaluate_detection`` returns.

    Returns:
        Fractions. ``mAP``, ``top-1``, ... are of :func:`main_result`; where
        there are several results, all of them follow with a suffix.
    """
    metrics = main_result(results).metrics() | detection.metrics()
    for name, result in results.items():
        if len(results) > 1:
            suffix = f'gallery{name}' if name[0].isdigit() else name
            metrics |= {
                f'{key}_{suffix}': value
                for key, value in result.metrics().items()
            }
    return metrics


def format_results(
    results: dict[str, ProtocolResult],
    detection: DetectionResult | None = None,
    cbgm: ContextMatching | None = None,
) -> str:
    """Write results as a table, in per cent, with the thresholds.

    Args:
        results: What ``evaluate_search`` returns, not empty.
        detection: What ``evaluate_detection`` returns.
        cbgm: The re-scoring that was used.

    Returns:
        Lines of text without a last line break.
    """
    names = list(next(iter(results.values())).metrics())
    width = max(8, *map(len, results))
    lines = [
        f'{"search":<{width}}'
        + ''.join(f'{name:>8}' for name in names)
        + f'{"queries":>9}{"skipped":>9}'
    ]
    for result in results.values():
        figures = ''.join(f'{100 * v:8.2f}' for v in result.metrics().values())
        lines.append(
            f'{result.name:<{width}}{figures}{len(result.queries):>9}'
            f'{result.num_skipped:>9}'
        )
    if detection is not None:
        lines.append(f'{"detection":<{width}}{"recall":>8}{"AP":>8}')
        for name, recall, ap in (
            ('all', detection.recall, detection.ap),
            ('labelled', detection.labelled_recall, detection.labelled_ap),
        ):
            lines.append(f'{name:<{width}}{100 * recall:8.2f}{100 * ap:8.2f}')
    det_thr = next(iter(results.values())).det_thr
    notes = [f'search: detection score >= {det_thr:g}']
    if cbgm is not None:
        notes.append(f'CBGM k1={cbgm.k1} k2={cbgm.k2}')
    notes += _scene_notes(main_result(results))
    if detection is not None:
        notes.append(f'detection: score >= {detection.score_thr:g}')
    return '\n'.join([*lines, f'in per cent; {"; ".join(notes)}'])


def _scene_notes(result: ProtocolResult) -> list[str]:
    if result.scene_thr is None:
        return []
    if not result.scene_thr:
        return ['times the scores of frames']
    return [
        f'times the scores of frames, those below {result.scene_thr:g} not '
        f'searched ({100 * result.skipped_frames:.1f} of all, '
        f'{100 * result.lost_frames:.1f} of those with the person)'
    ]


def results_to_dict(
    results: dict[str, ProtocolResult],
    detection: DetectionResult | None = None,
    cbgm: ContextMatching | None = None,
) -> dict[str, Any]:
    """Put results into plain values for JSON; figures are fractions.

    Args:
        results: What ``evaluate_search`` returns, not empty.
        detection: What ``evaluate_detection`` returns.
        cbgm: The re-scoring that was used.

    Returns:
        ``mAP``, ``top-1``, ``top-5``, ``top-10`` of :func:`main_result`,
        whose name is under ``main``; all results under ``results``, by
        name, each with these four, ``num_queries``, ``num_skipped``,
        ``num_positives`` and ``num_found``; ``det_thr``; ``cbgm`` (None or
        k1 and k2); with a gallery filter ``scene_filter`` (``thr``,
        ``skipped_frames``, ``lost_frames``); ``detection`` (``score_thr``,
        ``recall``, ``AP``, ``labelled_recall``, ``labelled_AP``). None
        stands for a mean over nothing.
    """
    main = main_result(results)
    out: dict[str, Any] = _plain(main.metrics())
    out['main'] = main.name
    out['det_thr'] = main.det_thr
    out['cbgm'] = None if cbgm is None else {'k1': cbgm.k1, 'k2': cbgm.k2}
    if main.scene_thr is not None:
        out['scene_filter'] = {
            'thr': main.scene_thr,
            'skipped_frames': main.skipped_frames,
            'lost_frames': main.lost_frames,
        }
    out['results'] = {
        name: _plain(result.metrics())
        | {
            'num_queries': len(result.queries),
            'num_skipped': result.num_skipped,
            'num_positives': int(result.num_positives.sum()),
            'num_found': int(result.num_found.sum()),
        }
        for name, result in results.items()
    }
    if detection is not None:
        out['detection'] = {'score_thr': detection.score_thr} | _plain(
            detection.metrics()
        )
    return out


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {k: None if math.isnan(v) else v for k, v in values.items()}
