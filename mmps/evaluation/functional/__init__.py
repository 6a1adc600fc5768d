"""Evaluation in plain numpy: no framework, no model, no images."""

from .context import ContextMatching
from .detection import DetectionResult, evaluate_detection
from .inspection import RankList, rank_list, similarity_histogram
from .open_set import OpenSetThreshold, calibrate_threshold
from .protocol import describe_protocol
from .report import (
    format_results,
    main_result,
    metrics_of,
    results_to_dict,
)
from .sampling import sample_gallery
from .scene_filtering import SceneFilter, SceneFiltering
from .scene_thresholds import (
    SceneThreshold,
    format_thresholds,
    scene_thresholds,
)
from .search_evaluation import ProtocolResult, SearchProblem, evaluate_search
from .search_settings import SearchSettings
from .search_tasks import PROTOCOLS, SearchTask, build_tasks

__all__ = [
    'PROTOCOLS',
    'ContextMatching',
    'DetectionResult',
    'OpenSetThreshold',
    'RankList',
    'SceneFilter',
    'SceneFiltering',
    'SceneThreshold',
    'SearchProblem',
    'ProtocolResult',
    'SearchSettings',
    'SearchTask',
    'build_tasks',
    'calibrate_threshold',
    'describe_protocol',
    'evaluate_detection',
    'evaluate_search',
    'format_results',
    'format_thresholds',
    'main_result',
    'metrics_of',
    'rank_list',
    'results_to_dict',
    'sample_gallery',
    'scene_thresholds',
    'similarity_histogram',
]
