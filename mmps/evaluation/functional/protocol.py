"""Description of an evaluation protocol in plain values."""

from dataclasses import asdict
from typing import Any

from .context import ContextMatching
from .report import main_result
from .search_evaluation import ProtocolResult


def describe_protocol(
    results: dict[str, ProtocolResult],
    score_thr: float = 0.01,
    cbgm: ContextMatching | None = None,
) -> dict[str, Any]:
    """Name everything that decides the figures of given predictions.

    Args:
        results: What ``evaluate_search`` returned, not empty.
        score_thr: As for ``evaluate_detection``.
        cbgm: As for ``evaluate_search``.

    Returns:
        ``main``, the protocol or gallery that is quoted without a name;
        ``evaluated``, the names of all; the thresholds and the re-scoring.
        Rules that are no option are named too, for readers.
    """
    main = main_result(results)
    return {
        'main': main.name,
        'evaluated': list(results),
        'det_thr': float(main.det_thr),
        'score_thr': float(score_thr),
        'cbgm': None if cbgm is None else _set(asdict(cbgm)),
        **({} if main.scene_thr is None else {'scene_thr': main.scene_thr}),
        'match_iou': 'min(0.5, wh / ((w + 10)(h + 10)))',
        'detection_iou': 0.5,
        'average_precision': 'equal similarities in one step, x recall',
    }


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """Without those that are off, which older results do not have."""
    return {name: v for name, v in options.items() if v is not False}
