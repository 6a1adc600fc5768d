"""The command line of galleries: ``mmps-search`` and ``tools/search.py``."""

import argparse
import datetime
import math
import os
from pathlib import Path
from typing import Any

from mmps.cli.common import (
    CfgOptions,
    add_trust_arg,
    finite,
    positive,
    run_cli,
    share,
)
from mmps.utils.part_imports import import_parts

LAUNCHERS = ('none', 'pytorch', 'slurm', 'ray')
DESCRIPTION = """\
Find people again in pictures and videos.

  mmps-search index GALLERY --model CONFIG CHECKPOINT cam1/ cam2.mp4
  mmps-search query GALLERY --model CONFIG CHECKPOINT PICTURE --box X1 Y1 X2 Y2
  mmps-search serve GALLERY --model CONFIG CHECKPOINT

A gallery is a folder, FILE.db (milvus-lite), or http://HOST:PORT/NAME (a
Milvus server or cluster).
"""


def main() -> None:
    """Entry point of ``mmps-search``."""
    run_cli(_main)


def _main() -> int | None:
    args = parse_args()
    # Later, so that --help and mistakes are answered at once.
    import_parts()
    from mmps.cli import search_commands

    return getattr(search_commands, args.verb)(args)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='mmps-search',
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar='COMMAND')
    _add_index(_verb(verbs, 'index', 'find people and store them'))
    _add_query(_verb(verbs, 'query', 'find a person again'))
    info_parser = _verb(verbs, 'info', 'what a gallery holds')
    info_parser.add_argument(
        '--json', action='store_true', help='instead of the table'
    )
    export_parser = _verb(
        verbs, 'export', 'to CSV, COCO JSON or a contact sheet'
    )
    export_parser.add_argument(
        'out', type=Path, help='.csv, .json, .jpg or .png'
    )
    export_parser.add_argument(
        '--limit', type=positive, default=200,
        help='people on a contact sheet (200)',
    )  # fmt: skip
    _add_calibrate(_verb(verbs, 'calibrate', 'when to answer "nobody"'))
    _add_serve(_verb(verbs, 'serve', 'web page and HTTP API'))
    # argparse takes no positional arguments after an option where there
    # were some before it.
    args, rest = parser.parse_known_args(argv)
    takes_more = args.verb in ('index', 'query')
    if rest and (not takes_more or any(x.startswith('-') for x in rest)):
        parser.error(f'unrecognized arguments: {" ".join(rest)}')
    if takes_more:
        args.inputs += rest
    return args


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(verb=name)
    parser.add_argument('gallery', help='folder, FILE.db or http://HOST/NAME')
    return parser


def _add_model(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        '--model', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        required=required, help='the one that made, or makes, the gallery',
    )  # fmt: skip
    _add_cfg_options(parser)
    parser.add_argument('--device', help='such as cuda:0 or cpu')
    parser.add_argument(
        '--det-thr', type=share, metavar='SCORE',
        help="people with a lower score are left out (the config's, "
        'usually 0.5)',
    )  # fmt: skip
    add_trust_arg(parser)


def _add_cfg_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE',
        help='settings that replace those of the config',
    )  # fmt: skip


def _add_index(parser: argparse.ArgumentParser) -> None:
    _add_model(parser, required=True)
    parser.add_argument(
        'inputs', nargs='*', metavar='INPUT',
        help='pictures, videos, folders, patterns, or .txt lists of paths',
    )  # fmt: skip
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'),
        help="index a data set of the model's config",
    )  # fmt: skip
    parser.add_argument('--camera', default='', help='of all inputs')
    parser.add_argument(
        '--camera-regex', metavar='PATTERN',
        help=r"camera from a frame's name, such as 'c(\d+)s'",
    )  # fmt: skip
    parser.add_argument(
        '--root', metavar='DIR',
        help='names relative to it, so that gallery and pictures can move',
    )  # fmt: skip
    parser.add_argument(
        '--video-fps', type=float, default=None, metavar='N',
        help='frames of a video per second, 0 for all (2; with --tracks 10)',
    )  # fmt: skip
    parser.add_argument(
        '--start-time', type=_moment, default=0.0, metavar='TIME',
        help="of a video's first frame, in seconds or as 2026-01-31T12:00:00",
    )  # fmt: skip
    parser.add_argument(
        '--file-times', action='store_true',
        help="time of a picture is that of its file's last change",
    )  # fmt: skip
    parser.add_argument(
        '--tracks', action='store_true',
        help='one entry per track of a video, averaged over the track',
    )  # fmt: skip
    parser.add_argument(
        '--scenes', action='store_true',
        help='embed whole pictures only, for query --scenes; needs a model '
        'with a gallery filter',
    )  # fmt: skip
    parser.add_argument(
        '--dtype', choices=('float32', 'float16'), default='float32',
        help='of the stored embeddings of a new gallery',
    )  # fmt: skip
    parser.add_argument(
        '--batch-size', type=positive, default=4,
        help='images that the model gets together (4)',
    )  # fmt: skip
    parser.add_argument(
        '--workers', type=positive, default=4,
        help='threads that load images (4)',
    )  # fmt: skip
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none',
        help='what started the processes that share the work, if there are '
        'several',
    )  # fmt: skip
    # torch.distributed.launch passes it; torchrun sets the variable instead.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS
    )


def _add_query(parser: argparse.ArgumentParser) -> None:
    _add_model(parser, required=False)
    parser.add_argument(
        'inputs', nargs='*', metavar='PICTURE',
        help='crops of one person, or frames with a --box each',
    )  # fmt: skip
    parser.add_argument(
        '--box', nargs=4, type=float, action='append', default=[],
        metavar=('X1', 'Y1', 'X2', 'Y2'),
        help='the person, in pixels of the picture; once per picture',
    )  # fmt: skip
    parser.add_argument(
        '--person', type=int, action='append', default=[], metavar='ID',
        help='a person of the gallery; needs no model; may be repeated',
    )  # fmt: skip
    parser.add_argument('-k', type=positive, default=10, help='answers (10)')
    parser.add_argument(
        '--camera', nargs='+', metavar='CAMERA', help='only these cameras'
    )
    parser.add_argument(
        '--exclude-camera', nargs='+', default=[], metavar='CAMERA',
        help='not these cameras',
    )  # fmt: skip
    parser.add_argument(
        '--after', type=_moment, metavar='TIME',
        help='only frames from then on, in seconds or as 2026-01-31T12:00:00',
    )  # fmt: skip
    parser.add_argument(
        '--before',
        type=_moment,
        metavar='TIME',
        help='only frames before then',
    )
    parser.add_argument(
        '--min-score', type=finite, metavar='SCORE',
        help='only people who were detected with this score',
    )  # fmt: skip
    parser.add_argument(
        '--rerank', action='store_true', help='k-reciprocal re-ranking'
    )
    parser.add_argument(
        '--expand', type=int, default=0, metavar='N',
        help='average the query with its N best answers first',
    )  # fmt: skip
    parser.add_argument(
        '--context', action='store_true',
        help='re-score by the people beside the query (CBGM)',
    )  # fmt: skip
    parser.add_argument(
        '--scenes', action='store_true',
        help='look only into likely pictures of index --scenes, and find '
        'people there that are not in the gallery yet',
    )  # fmt: skip
    parser.add_argument(
        '--scene-thr', type=share, metavar='SCORE',
        help='with --scenes: lowest score of a likely picture (0.5; scores '
        'are between 0.27 and 0.73)',
    )  # fmt: skip
    parser.add_argument(
        '--threshold', type=finite,
        help="reject answers below it (default: the gallery's, if it was "
        'calibrated; -1: accept all)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, metavar='PICTURE.png',
        help='draw query and answers',
    )  # fmt: skip
    parser.add_argument(
        '--json', action='store_true', help='instead of the table'
    )


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='with a labelled test set')
    parser.add_argument(
        'predictions', help='.npz file of it, from tools/test.py --out'
    )
    _add_cfg_options(parser)
    parser.add_argument(
        '--fpir', type=share, default=0.05,
        help='highest share of absent people that get an answer (0.05)',
    )  # fmt: skip


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_model(parser, required=True)
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to serve at (%(default)s)'
    )
    parser.add_argument(
        '--port', type=int, default=8008, help='port to serve at (%(default)s)'
    )
    parser.add_argument(
        '--token', default=os.environ.get('MMPS_TOKEN'),
        help='what clients have to send; needed for other hosts than '
        'loopback (default: $MMPS_TOKEN)',
    )  # fmt: skip


def _moment(text: str) -> float:
    """Seconds, or an ISO date and time in local time."""
    try:
        value = float(text)
    except ValueError:
        try:
            value = datetime.datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'expected seconds or 2026-01-31T12:00:00, got {text!r}'
            ) from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'expected a time, got {text}')
    return value
