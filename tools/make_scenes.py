"""Render the synthetic person-search data set "scenes".

    python tools/make_scenes.py data/scenes
    python tools/make_scenes.py data/scenes_cuhk --layout cuhk
    python tools/make_scenes.py data/scenes_new_cameras --cameras 9 \
        --train-cameras 1 2 3 4 5 6 --test-cameras 7 8 9

A folder that holds the same scenes is left alone; an interrupted run goes on
where it stopped.
"""

import argparse

from rich.console import Console
from rich.table import Table

from mmps.cli.common import run_cli
from mmps.scenes import ScenesConfig, ScenesTree, make_scenes


def parse_args() -> argparse.Namespace:
    """Return the command line's options."""
    default = ScenesConfig()
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('out', help='folder to write, or to complete')
    for name, what in (
        ('train_frames', 'training frames'),
        ('test_frames', 'test frames'),
        ('train_ids', 'people with an id in the training frames'),
        ('test_ids', 'other people with an id in the test frames'),
        ('cameras', 'cameras, at most 9'),
        ('seed', 'equal seeds give equal bytes'),
    ):
        _add(parser, name, int, default, what)
    for name, what in (
        ('people', 'mean number of people put into a frame'),
        ('occlusion_rate', 'share of people placed behind something'),
        ('accessory_rate', 'share of people who carry something'),
        ('colour_shift', 'strength of colour differences between cameras'),
        ('unlabelled_rate', 'share of people without an id'),
    ):
        _add(parser, name, float, default, what)
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('WIDTH', 'HEIGHT'),
        default=default.size,
        help='frame size in pixels (default: 480 270)',
    )
    parser.add_argument(
        '--heights',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        default=default.heights,
        help="range of body heights, as shares of the frame's "
        '(default: 0 1, as in PRW)',
    )
    for split in ('train', 'test'):
        parser.add_argument(
            f'--{split}-cameras',
            type=int,
            nargs='+',
            metavar='N',
            help=f'cameras of the {split} frames, from 1 (default: all)',
        )
    parser.add_argument(
        '--layout',
        choices=('prw', 'cuhk'),
        default=default.layout,
        help='form on disk (default: %(default)s)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=0,
        help='processes (default: one per CPU)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace scenes of other settings',
    )
    return parser.parse_args()


def main() -> None:
    """Render and print a summary."""
    args = vars(parse_args())
    out, workers = args.pop('out'), args.pop('workers')
    overwrite = args.pop('overwrite')
    config = ScenesConfig(
        **{
            k: tuple(v) if isinstance(v, (list, tuple)) else v
            for k, v in args.items()
        }
    )
    tree = make_scenes(out, config, workers, overwrite, progress=True)
    print_summary(tree)


def print_summary(tree: ScenesTree) -> None:
    """Print what the tree holds."""
    counts, config = tree.counts, tree.config
    width, height = config.size
    state = 'found' if tree.reused else 'made'
    table = Table(
        title=f'scenes {state} in {tree.root}: layout {config.layout}, '
        f'{width} x {height}, seed {config.seed}, {counts["queries"]} queries'
    )
    for title in (
        'split',
        'cameras',
        'frames',
        'boxes',
        'boxes/frame',
        'ids',
        'unlabelled',
        'occluded',
    ):
        table.add_column(
            title, justify='left' if title == 'split' else 'right'
        )
    for split in ('train', 'test'):
        boxes = counts[f'{split}_boxes']
        frames = counts[f'{split}_frames']
        table.add_row(
            split,
            str(len(config.cameras_of(split))),
            str(frames),
            str(boxes),
            f'{boxes / frames:.2f}',
            str(counts[f'{split}_ids']),
            *(
                f'{100 * counts[f"{split}_{key}"] / max(boxes, 1):.1f} %'
                for key in ('unlabelled', 'occluded')
            ),
        )
    Console().print(table)


def _add(parser, name: str, kind: type, default: ScenesConfig, what) -> None:
    parser.add_argument(
        f'--{name.replace("_", "-")}',
        type=kind,
        metavar='N',
        default=getattr(default, name),
        help=f'{what} (default: %(default)s)',
    )


if __name__ == '__main__':
    run_cli(main)
