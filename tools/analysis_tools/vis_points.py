#!/usr/bin/env python3
"""Draw the points that PCNet samples for the people it detects.

Source: Fig. 5 of PCNet: contextual points of the detected boxes.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from rich.progress import track

from mmps.apis.person_model import PersonModel
from mmps.cli.common import add_config_args, add_trust_arg, run_cli
from mmps.datasets.from_config import build_dataset, dataset_config
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts

# One colour (BGR) per row of the kernel: the sets that the distance loss
# draws apart, from head to feet.
COLOURS = ((70, 70, 240), (60, 200, 60), (240, 140, 40))
# Boxes are of the stored pixels, whatever EXIF says.
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    add_trust_arg(parser)
    parser.add_argument(
        '--out-dir', type=Path, required=True, help='folder for the pictures'
    )
    parser.add_argument('--num', type=int, default=6, help='frames (6)')
    parser.add_argument(
        '--score-thr', type=float, default=0.5, help='of people drawn (0.5)'
    )
    parser.add_argument(
        '--zoom', type=float, default=2.0, help='of the picture (2)'
    )
    parser.add_argument('--device', default=None, help='cuda:0 or cpu')
    args = parser.parse_args()
    if args.num < 1:
        parser.error(f'--num: expected 1 or more, got {args.num}')
    return args


def draw_points(
    image: np.ndarray,
    boxes: np.ndarray,
    points: np.ndarray,
    zoom: float = 2.0,
) -> np.ndarray:
    """Draw boxes and their points into an enlarged copy.

    Args:
        image: (H, W, 3) BGR.
        boxes: (n, 4) xyxy in pixels.
        points: (n, K, 2) x, y in pixels, kernel taps row by row.
        zoom: Factor of the copy's size. Defaults to 2.

    Returns:
        (H * zoom, W * zoom, 3).
    """
    image = cv2.resize(
        image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC
    )
    side = round(points.shape[1] ** 0.5) if points.size else 1
    for box, people in zip(boxes * zoom, points * zoom, strict=True):
        corners = [tuple(map(round, p)) for p in box.reshape(2, 2).tolist()]
        cv2.rectangle(image, *corners, (255, 255, 255), 1, cv2.LINE_AA)
        for k, point in enumerate(people.tolist()):
            where = tuple(map(round, point))
            colour = COLOURS[(k // side) % len(COLOURS)]
            cv2.circle(image, where, 4, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(image, where, 3, colour, -1, cv2.LINE_AA)
    return image


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    cfg = load_config(args.config, args.cfg_options)
    existing_file(args.checkpoint, 'checkpoint')
    dataset = build_dataset(dataset_config(cfg, 'test'))
    head = cfg.model.get('bbox_head', {})
    if head.get('type') != 'mmps.PCNetHead':
        raise UsageError(f'config {args.config}: has no mmps.PCNetHead')
    cfg.merge_from_dict(dict(model=dict(test_cfg=dict(return_points=True))))
    model = PersonModel(
        cfg,
        args.checkpoint,
        args.device,
        trust_checkpoint=args.trust_checkpoint,
    ).model
    args.out_dir.mkdir(parents=True, exist_ok=True)
    busiest = sorted(
        range(len(dataset)),
        key=lambda i: -len(dataset.get_data_info(i)['gt_bboxes']),
    )[: args.num]
    for i in track(busiest, 'drawing', transient=True):
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[i]]))
        found = sample.pred_instances.cpu()
        found = found[found.scores >= args.score_thr]
        picture = draw_points(
            cv2.imread(sample.img_path, _AS_STORED),
            found.bboxes.numpy(),
            found.points.numpy(),
            args.zoom,
        )
        name = f'{i:05d}_{Path(sample.frame_name).stem}.png'
        cv2.imwrite(str(args.out_dir / name), picture)
    print(f'{len(busiest)} pictures in {args.out_dir}')


if __name__ == '__main__':
    run_cli(main)
