#!/usr/bin/env python3
"""Write a trained detector as an ONNX file with standard operators only.

Its input is one picture of a fixed size as pixels; its outputs are the boxes,
scores and embeddings of the people in it. docs/deploy.md shows how to run it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from mmps import __version__
from mmps.apis import PersonModel
from mmps.apis.frame_sources import read_picture
from mmps.cli.common import add_config_args, add_trust_arg, run_cli
from mmps.deploy import export_onnx
from mmps.deploy.onnx_check import (
    BOX_TOLERANCE,
    COSINE_TOLERANCE,
    SCORE_TOLERANCE,
    check_onnx,
)
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

NUM_NOISE = 4


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_args(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    add_trust_arg(parser)
    parser.add_argument(
        'out', metavar='OUT.onnx', type=Path, help='file to write'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        required=True,
        metavar=('H', 'W'),
        help='of the picture, as the test pipeline resizes it: 750 1333 for '
        'frames of 1080 x 1920 and a scale of (1333, 800)',
    )
    parser.add_argument(
        '--query',
        action='store_true',
        help='embed given boxes, a second input, in the place of finding '
        'people',
    )
    parser.add_argument(
        '--check',
        nargs='*',
        metavar='PICTURE',
        help='compare with the detector in onnxruntime, on pictures or, '
        'without one, on noise; a difference is an error',
    )
    return parser.parse_args()


def read_images(
    paths: Sequence[str], size: tuple[int, int]
) -> list[np.ndarray]:
    """Pictures of a size (height, width), or noise where there are none."""
    height, width = size
    if paths:
        images = [read_picture(path) for path in paths]
    else:
        # Blobs: detectors respond to them more than to noise of single pixels.
        rng = np.random.default_rng(0)
        coarse = (NUM_NOISE, height // 16 + 1, width // 16 + 1, 3)
        images = list(rng.integers(0, 256, coarse, dtype=np.uint8))
    return [cv2.resize(image, (width, height)) for image in images]


def check(
    args: argparse.Namespace, model: PersonModel, images: list[np.ndarray]
) -> None:
    """Print how the file differs; an error if it does too much."""
    height, width = args.size
    boxes = None
    if args.query:
        corners = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7]], np.float32)
        boxes = corners * np.array([width, height] * 2, np.float32)
    found = check_onnx(model.model, args.out, images, boxes)
    text = f'{found.people} people in {len(images)} images; differences: '
    if not args.query:
        text += (
            f'{found.unmatched} detections, boxes {found.boxes:.1e} px '
            f'(allowed {BOX_TOLERANCE:g}), scores {found.scores:.1e} '
            f'({SCORE_TOLERANCE:g}), '
        )
    text += f'cosine {found.cosine:.1e} ({COSINE_TOLERANCE:g})'
    if not found.small:
        raise UsageError(f'{args.out} differs from its detector: {text}')
    Console(highlight=False, soft_wrap=True).print(text)


def main() -> None:
    args = parse_args()
    if args.out.suffix != '.onnx':
        raise UsageError(f'{args.out}: expected a name that ends in .onnx')
    size = tuple(args.size)
    # First: what cannot be read should not cost the time of an export.
    images = None if args.check is None else read_images(args.check, size)
    config = load_config(args.config, args.cfg_options)
    model = PersonModel(
        config,
        args.checkpoint,
        device='cpu',
        trust_checkpoint=args.trust_checkpoint,
    )
    header = model.header()
    metadata = dict(
        mmps_version=__version__,
        model=header.model,
        model_hash=header.model_hash,
        metric=header.metric,
        dim=str(header.dim),
    )
    export_onnx(model.model, args.out, size, args.query, metadata)
    print(f'{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB')
    if images is not None:
        check(args, model, images)


if __name__ == '__main__':
    run_cli(main)
