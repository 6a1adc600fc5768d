#!/usr/bin/env python3
"""Write pictures of a data set's frames with boxes, ids and query marks.

Labelled people have a colour of their own and the data set's own id,
unlabelled people are grey, queries are marked by a white and red frame and
their number in the query order.
"""

import argparse
import colorsys
from pathlib import Path

import cv2
import numpy as np

from mmps.cli.common import add_config_args, run_cli
from mmps.datasets.from_config import build_dataset, dataset_config
from mmps.registry import DATASETS
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

GREY, WHITE, RED = (150, 150, 150), (255, 255, 255), (40, 40, 230)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_config_args(parser)
    parser.add_argument(
        '--split',
        choices=['train', 'test'],
        default='train',
        help='default: %(default)s',
    )
    parser.add_argument(
        '--num', type=int, default=20, help='pictures (default: %(default)s)'
    )
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('work_dirs/browse_dataset'),
        help='folder for the pictures (default: %(default)s)',
    )
    parser.add_argument(
        '--transformed',
        action='store_true',
        help="show what the config's pipeline makes of the frames",
    )
    parser.add_argument(
        '--queries',
        action='store_true',
        help='only frames that hold a query (test split)',
    )
    args = parser.parse_args()
    if args.num < 1:
        parser.error(f'--num: expected at least 1, got {args.num}')
    if args.queries and args.split != 'test':
        parser.error('--queries: needs --split test')
    return args


def id_color(person_id: int) -> tuple[int, int, int]:
    """A bright BGR colour, far from that of the next ids."""
    rgb = colorsys.hsv_to_rgb(person_id * 0.618034 % 1, 0.85, 1.0)
    return tuple(int(255 * v) for v in rgb[::-1])


def draw_box(
    image: np.ndarray,
    box: np.ndarray,
    color: tuple,
    text: str,
    line: int,
    below: bool = False,
) -> None:
    """Draw a box with a label that stays inside the picture."""
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), color, line)
    if not text:
        return
    scale = max(min(image.shape[:2]) / 1400, 0.35)
    (width, height), _ = cv2.getTextSize(
        text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1
    )
    x = min(max(x1, 0), max(image.shape[1] - width - 2, 0))
    below = below or y1 - height - 4 <= 0
    y = min(y2, image.shape[0]) + height + 4 if below else y1
    y = min(y, image.shape[0] - 3)
    cv2.rectangle(
        image, (x, y - height - 4), (x + width + 2, y + 2), color, -1
    )
    cv2.putText(
        image, text, (x + 1, y - 1), cv2.FONT_HERSHEY_SIMPLEX, scale,
        (0, 0, 0), 1, cv2.LINE_AA,
    )  # fmt: skip


def draw_frame(
    image: np.ndarray,
    boxes: np.ndarray,
    raw_person_ids: np.ndarray,
    query_boxes: np.ndarray,
    query_indices: np.ndarray,
) -> np.ndarray:
    """Draw people and queries.

    Args:
        image: (H, W, 3) BGR.
        boxes: (n, 4) xyxy in its pixels.
        raw_person_ids: (n,) the data set's own ids, -1 unlabelled.
        query_boxes: (q, 4) xyxy in its pixels.
        query_indices: (q,) places in the query order.
    """
    image = np.ascontiguousarray(image)
    line = max(round(min(image.shape[:2]) / 400), 1)
    # Queries first: their thick marks would cover the ids.
    for box, index in zip(query_boxes, query_indices.tolist()):
        grown = box + 3 * line * np.array([-1, -1, 1, 1])
        draw_box(image, grown, WHITE, '', 5 * line)
        draw_box(image, grown, RED, f'query {index}', 2 * line, below=True)
    for box, person_id in zip(boxes, raw_person_ids.tolist()):
        color = GREY if person_id < 0 else id_color(person_id)
        text = '' if person_id < 0 else str(person_id)
        draw_box(image, box, color, text, line)
    return image


def stored_frame(dataset, index: int) -> np.ndarray:
    """A frame as it is on disk."""
    info = dataset.get_data_info(index)
    table = np.append(info['raw_person_ids'], -1)
    return draw_frame(
        dataset[index]['img'],
        info['gt_bboxes'],
        table[info['person_ids']],
        info.get('query_bboxes', np.zeros((0, 4))),
        info.get('query_indices', np.zeros(0, np.int64)),
    )


def transformed_frame(dataset, index: int, original_boxes: bool) -> np.ndarray:
    """A frame as the model gets it."""
    packed = dataset[index]
    sample = packed['data_samples']
    image = packed['inputs'].numpy().transpose(1, 2, 0)
    image = np.clip(image, 0, 255).astype(np.uint8)
    boxes = sample.gt_instances.bboxes.tensor.numpy()
    queries, indices = np.zeros((0, 4)), np.zeros(0, np.int64)
    scale = np.tile(sample.metainfo.get('scale_factor', (1.0, 1.0)), 2)
    if 'query_instances' in sample:
        queries = sample.query_instances.bboxes.numpy() * scale
        indices = sample.query_instances.query_indices.numpy()
    if original_boxes:
        boxes = boxes * scale
    return draw_frame(image, boxes, sample.raw_person_ids, queries, indices)


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    node = dataset_config(cfg, args.split, wrapped=args.transformed)
    if args.transformed:
        dataset = DATASETS.build(node)
    else:
        load = dict(type='mmps.LoadFrame')
        dataset = build_dataset(node, pipeline=[load])
    candidates = range(len(dataset))
    if args.queries:
        candidates = [
            i
            for i in candidates
            if len(dataset.get_data_info(i)['query_indices'])
        ]
    if not len(candidates):
        raise UsageError('the split has no frame with a query')
    # Evenly over the split, to see all cameras.
    places = np.linspace(
        0, len(candidates) - 1, min(args.num, len(candidates))
    )
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for place in places.astype(int):
        index = candidates[place]
        if args.transformed:
            image = transformed_frame(dataset, index, args.split == 'test')
        else:
            image = stored_frame(dataset, index)
        name = dataset.get_data_info(index)['frame_name']
        out = args.out_dir / f'{args.split}_{index:06d}_{Path(name).stem}.jpg'
        if not cv2.imwrite(str(out), image):
            raise UsageError(f'{out}: cannot be written')
    print(
        f'{len(places)} pictures of the {args.split} split in {args.out_dir}'
    )


if __name__ == '__main__':
    run_cli(main)
