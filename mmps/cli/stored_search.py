"""Stored predictions beside their test set, for the analysis tools."""

import argparse
import os
import sys
import warnings
from dataclasses import dataclass, replace
from typing import Any

from mmengine.config import Config

from mmps.cli.common import add_config_args, share
from mmps.datasets import PersonSearchDataset
from mmps.datasets.from_config import build_dataset, dataset_config
from mmps.evaluation.functional import (
    PROTOCOLS,
    ContextMatching,
    ProtocolResult,
    SceneFiltering,
    SearchSettings,
    SearchTask,
    build_tasks,
)
from mmps.evaluation.metrics.metric_settings import settings_of
from mmps.structures import SearchGroundTruth, SearchPredictions
from mmps.utils.config import load_config


@dataclass
class StoredSearch:
    """What a tool that looks at stored predictions works on.

    Args:
        dataset: The test set, without a pipeline.
        truth: Its ground truth.
        preds: Predictions in its frame order.
        settings: Of the config, replaced by those of the command line.
        config: The config.
    """

    dataset: PersonSearchDataset
    truth: SearchGroundTruth
    preds: SearchPredictions
    settings: SearchSettings
    config: Config

    @property
    def cbgm(self) -> ContextMatching | None:
        """Settings of the re-scoring, None for none."""
        return self.settings.matching(self.truth)

    @property
    def scenes(self) -> SceneFiltering | None:
        """Settings of the gallery filter, None for none."""
        return self.settings.scene_filter or None

    def tasks(self) -> list[SearchTask]:
        """Every protocol on every gallery that is asked for."""
        return build_tasks(
            self.truth, self.settings.protocols, self.settings.gallery_sizes
        )

    def evaluate(self) -> dict[str, ProtocolResult]:
        """Evaluate these tasks; warnings become lines on stderr."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always', UserWarning)
            results = self.settings.evaluate(self.truth, self.preds)
        for warning in caught:
            print(f'warning: {warning.message}', file=sys.stderr)
        return results


def load_test_set(
    cfg: Config,
) -> tuple[PersonSearchDataset, SearchGroundTruth]:
    """Read the annotations of a config's test set; opens no image.

    Args:
        cfg: A full config or one of ``configs/_base_/datasets``.

    Returns:
        The data set, without a pipeline, and its ground truth.

    Raises:
        ValueError: The config has no test set of person search, or its
            files are missing or malformed.
    """
    dataset = build_dataset(dataset_config(cfg, 'test'), pipeline=[])
    truth = dataset.metainfo.get('search')
    if truth is None:
        raise ValueError(
            "test_dataloader.dataset has no queries; expected split='test'"
        )
    return dataset, truth


def load_predictions(
    path: str | os.PathLike, truth: SearchGroundTruth
) -> SearchPredictions:
    """Read stored predictions and put them in the data set's order.

    Args:
        path: ``.npz`` file, as ``tools/test.py --out`` writes it.
        truth: Ground truth of the data set it should be of.

    Returns:
        Predictions with the frame order of ``truth``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is malformed, or of another data set; the message
            names file and key.
    """
    preds = SearchPredictions.load(path)
    try:
        return preds.align(truth)
    except ValueError as err:
        raise ValueError(f'{path}: {err}') from err


def add_search_args(parser: argparse.ArgumentParser) -> None:
    """Add config, predictions and the options of a search to a parser.

    Args:
        parser: The tool's parser, changed in place.
    """
    parser.epilog = (
        "Options that are not given are taken from the config's "
        'test_evaluator.'
    )
    add_config_args(parser)
    parser.add_argument(
        'predictions', help='.npz file, as tools/test.py --out writes it'
    )
    parser.add_argument(
        '--det-thr',
        type=share,
        metavar='SCORE',
        help='search among detections of at least this score (usually 0.5)',
    )
    parser.add_argument(
        '--protocol',
        nargs='+',
        choices=PROTOCOLS,
        help='cross-camera leaves out frames of the query camera, '
        'same-camera keeps only those',
    )
    parser.add_argument(
        '--gallery-size',
        nargs='+',
        metavar='NAME',
        help='galleries of the data set: 50 100 ... all occlusion resolution '
        '(default: all it has)',
    )
    parser.add_argument(
        '--cbgm', action='store_true', help='re-score by context'
    )
    parser.add_argument(
        '--cbgm-k',
        nargs=2,
        type=int,
        metavar=('K1', 'K2'),
        help='--cbgm with these numbers of detections and people (default: '
        '10 3 with galleries, else 30 4)',
    )
    parser.add_argument(
        '--scene-filter',
        action='store_true',
        help='multiply similarities by the scores of frames (predictions of '
        'a model with a gallery filter)',
    )
    parser.add_argument(
        '--scene-thr',
        type=share,
        metavar='SCORE',
        help='--scene-filter that does not search frames of a lower score',
    )


def open_search(args: argparse.Namespace) -> StoredSearch:
    """Load what the options of :func:`add_search_args` name.

    Args:
        args: Parsed command line.

    Returns:
        Test set, predictions and settings.

    Raises:
        UsageError: The config cannot be read.
        ValueError: Data set or predictions are missing or malformed.
    """
    cfg = load_config(args.config, args.cfg_options)
    settings = settings_of(cfg)
    given: dict[str, Any] = {
        'det_thr': args.det_thr,
        'protocols': args.protocol,
        'gallery_sizes': args.gallery_size,
        'cbgm': (settings.cbgm or True) if args.cbgm else None,
        'scene_filter': (
            (settings.scene_filter or True) if args.scene_filter else None
        ),
    }
    if args.cbgm_k:
        numbers = dict(zip(('k1', 'k2'), args.cbgm_k))
        own = settings.cbgm
        given['cbgm'] = (
            replace(own, **numbers)
            if isinstance(own, ContextMatching)
            else numbers
        )
    if args.scene_thr is not None:
        given['scene_filter'] = dict(thr=args.scene_thr)
    settings = replace(
        settings, **{k: v for k, v in given.items() if v is not None}
    )
    dataset, truth = load_test_set(cfg)
    preds = load_predictions(args.predictions, truth)
    return StoredSearch(dataset, truth, preds, settings, cfg)
