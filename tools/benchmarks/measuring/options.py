"""Command-line options that benchmarks share."""

import argparse
from pathlib import Path

from mmps.cli.common import positive
from mmps.utils.device import default_device

from .detectors import method_configs


def add_device_arg(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` to a benchmark's parser."""
    parser.add_argument(
        '--device',
        default=default_device(),
        help='cuda:0 or cpu (default: %(default)s)',
    )


def add_out_arg(parser: argparse.ArgumentParser) -> None:
    """Add ``--out-json`` to a benchmark's parser."""
    parser.add_argument(
        '--out-json', type=Path, metavar='FILE', help='store the figures'
    )


def detector_parser(
    description: str, size: tuple[int, int]
) -> argparse.ArgumentParser:
    """Start the command line of a benchmark of detectors.

    Args:
        description: The benchmark's docstring.
        size: Default width and height of an image in pixels.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'configs',
        nargs='*',
        default=method_configs(),
        metavar='CONFIG',
        help='what to measure (default: one of every method)',
    )
    parser.add_argument(
        '--size',
        type=positive,
        nargs=2,
        default=size,
        metavar=('W', 'H'),
        help='of an image in pixels (default: %(default)s)',
    )
    parser.add_argument(
        '--rounds', type=positive, default=10, help='times each, turn by turn'
    )
    add_device_arg(parser)
    add_out_arg(parser)
    # Each measurement of memory has a process of its own.
    parser.add_argument(
        '--memory-of', choices=('ours', 'beside'), help=argparse.SUPPRESS
    )
    return parser


def prediction_parser(
    description: str, size: tuple[int, int]
) -> argparse.ArgumentParser:
    """Start the command line of a benchmark of predictions.

    Args:
        description: The benchmark's docstring.
        size: Default width and height of an image in pixels.
    """
    parser = detector_parser(description, size)
    parser.add_argument(
        '--boxes',
        type=positive,
        default=30,
        help='boxes that are kept per image',
    )
    return parser
