#!/usr/bin/env python3
"""Figures of baselines without learning, on ground-truth boxes.

mean-colour and strips compare the mean colour of a box, or of each of its ten
horizontal strips, and can do so on the detections of a trained model;
untrained is the config's model before any training.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from mmcv import imread
from rich.progress import track

from mmps.cli.common import add_config_args, run_cli
from mmps.cli.stored_search import load_predictions, load_test_set
from mmps.engine.launch import build_runner
from mmps.evaluation.functional import evaluate_search, main_result
from mmps.evaluation.metrics.metric_settings import settings_of
from mmps.structures import SearchGroundTruth, SearchPredictions
from mmps.utils.config import finder_test_cfg, load_config
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole
from mmps.utils.part_imports import import_parts

STRIPS = {'mean-colour': 1, 'strips': 10}
KINDS = (*STRIPS, 'untrained')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument(
        '--kinds', nargs='+', choices=KINDS, help='default: all that go'
    )
    parser.add_argument(
        '--detections',
        metavar='FILE.npz',
        help='colours of these detections, as tools/test.py --out writes them',
    )
    parser.add_argument('--seed', type=int, default=0, help='of untrained')
    parser.add_argument(
        '--out-json', type=Path, metavar='FILE', help='store the figures'
    )
    args = parser.parse_args()
    if args.kinds is None:
        args.kinds = tuple(STRIPS) if args.detections else KINDS
    elif args.detections and 'untrained' in args.kinds:
        parser.error('--detections: untrained takes ground-truth boxes only')
    return args


def strip_colours(
    image: np.ndarray, boxes: np.ndarray, strips: int
) -> np.ndarray:
    """Mean colour of horizontal strips of boxes.

    Args:
        image: (H, W, 3).
        boxes: (n, 4) xyxy; what lies outside the image is cut off.
        strips: Strips per box.

    Returns:
        (n, strips * 3), in grey levels.
    """
    height, width = image.shape[:2]
    total = np.zeros((height + 1, width + 1, 3))
    total[1:, 1:] = image.cumsum(0, dtype=np.float64).cumsum(1)
    x1 = np.clip(np.floor(boxes[:, 0]), 0, width - 1).astype(int)
    x2 = np.clip(np.ceil(boxes[:, 2]), x1 + 1, width).astype(int)
    y1 = np.clip(boxes[:, 1], 0, height - 1)
    y2 = np.clip(boxes[:, 3], y1 + 1, height)
    edges = (y2 - y1)[:, None] * np.arange(strips + 1) / strips
    edges += y1[:, None]
    top = np.floor(edges[:, :-1]).astype(int)
    bottom = np.maximum(np.ceil(edges[:, 1:]).astype(int), top + 1)
    x1, x2 = x1[:, None], x2[:, None]
    sums = total[bottom, x2] - total[bottom, x1]
    sums = sums - total[top, x2] + total[top, x1]
    area = (bottom - top) * (x2 - x1)
    return (sums / area[..., None]).reshape(len(boxes), strips * 3)


def colour_predictions(
    truth: SearchGroundTruth,
    paths: list[str],
    strips: int,
    detections: SearchPredictions | None = None,
) -> SearchPredictions:
    """Strip colours as embeddings of ground-truth boxes, or of detections."""
    boxes = detections or truth
    gallery = np.empty((len(boxes.bboxes), strips * 3))
    queries = np.empty((len(truth.query_bboxes), strips * 3))
    for frame, path in enumerate(
        track(paths, f'{strips} strip(s)', transient=True)
    ):
        image = imread(path, flag='unchanged')
        rows = slice(*boxes.frame_splits[frame : frame + 2])
        gallery[rows] = strip_colours(image, boxes.bboxes[rows], strips)
        asked = np.flatnonzero(truth.query_frames == frame)
        queries[asked] = strip_colours(
            image, truth.query_bboxes[asked], strips
        )
    centre = gallery.mean(0)
    return SearchPredictions(
        frame_names=truth.frame_names,
        frame_splits=boxes.frame_splits,
        bboxes=boxes.bboxes,
        scores=detections.scores if detections else np.ones(len(gallery)),
        embeddings=_unit(gallery - centre),
        query_embeddings=_unit(queries - centre),
    )


def untrained_predictions(
    cfg, truth: SearchGroundTruth, seed: int
) -> SearchPredictions:
    """The config's model as it is initialised, on ground-truth boxes."""
    import_parts()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'untrained.npz'
        cfg.merge_from_dict(
            dict(
                work_dir=folder,
                load_from=None,
                randomness=dict(seed=seed),
                test_evaluator=dict(outfile=str(out)),
            )
        )
        finder_test_cfg(cfg.model.test_cfg).use_gt_boxes = True
        runner = build_runner(cfg)
        runner.model.init_weights()
        runner.test()
        return load_predictions(out, truth)


def main() -> None:
    """Run the tool."""
    args = parse_args()
    out = args.out_json
    if out and not out.parent.is_dir():
        raise UsageError(f'--out-json {out}: {out.parent} is not a folder')
    cfg = load_config(args.config, args.cfg_options)
    dataset, truth = load_test_set(cfg)
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    detections = None
    if args.detections:
        detections = load_predictions(args.detections, truth)
    det_thr = settings_of(cfg).det_thr
    rows = {}
    for kind in args.kinds:
        preds = (
            untrained_predictions(cfg, truth, args.seed)
            if kind == 'untrained'
            else colour_predictions(truth, paths, STRIPS[kind], detections)
        )
        result = main_result(evaluate_search(truth, preds, det_thr))
        rows[kind] = result.metrics(topk=(1, 5, 10))
    for kind, row in rows.items():
        figures = '  '.join(f'{k} {100 * v:5.1f}' for k, v in row.items())
        print(f'{kind:12} {figures}')
    if out:
        write_whole(out, json.dumps(rows, indent=2) + '\n')


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


if __name__ == '__main__':
    run_cli(main)
