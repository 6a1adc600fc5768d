#!/usr/bin/env python3
"""The whole of mmps in one run: make data, train, test, draw, search
(`make demo`).

Every step is a command of its own that is printed before it runs, so that it
can be run again with other options. What is there already is not made again:
an interrupted demo goes on where it stopped.
"""

import argparse
import shlex
import time
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmps.cli.common import run_cli
from mmps.cli.stored_search import load_predictions, load_test_set
from mmps.cli.tool_runs import run_tool, train
from mmps.evaluation.functional import evaluate_detection, evaluate_search
from mmps.utils.config import load_config

CONFIG = 'configs/pcnet/pcnet_r18_scenes.py'
SCENES = shlex.split(
    '--size 384 216 --people 6 --heights 0.22 0.42 --colour-shift 0.5 '
    '--occlusion-rate 0.05 --test-frames 200'
)
# Test sets: cameras of the training frames, and cameras it has never seen
# (of that set, only the test frames are used).
TEST_SETS = {
    'known cameras': (
        'demo_scenes',
        shlex.split('--train-frames 1000 --train-ids 120'),
    ),
    'new cameras': (
        'demo_scenes_new_cameras',
        shlex.split(
            '--train-frames 20 --train-ids 10 --cameras 9 --test-cameras 7 8 9'
        ),
    ),
}
# Number of the test set's query that is searched for in the gallery.
QUERY = 12
console = Console(highlight=False)
run = partial(run_tool, console)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', default=CONFIG, help='what to train (%(default)s)'
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=Path('data'),
        help='folder for the scenes (%(default)s)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder for all else (%(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the training')
    return parser.parse_args()


def results_table(config: str, data: Path, work_dir: Path) -> Table:
    """Search and detection figures of every test set."""
    table = Table(title=f'{config}: people never seen in training, per cent')
    names = ('mAP', 'top-1', 'top-5', 'top-10')
    table.add_column('test set')
    for title in (*names, 'detection recall', 'detection AP'):
        table.add_column(title, justify='right')
    for name, (folder, _) in TEST_SETS.items():
        cfg = load_config(
            config,
            {'test_dataloader.dataset.data_root': str(data / folder)},
        )
        _, truth = load_test_set(cfg)
        preds = load_predictions(work_dir / f'{folder}.npz', truth)
        (search,) = evaluate_search(truth, preds).values()
        detection = evaluate_detection(truth, preds)
        figures = [search.metrics()[key] for key in names]
        figures += [detection.recall, detection.ap]
        table.add_row(name, *(f'{100 * value:.1f}' for value in figures))
    return table


def search(
    config: str, checkpoint: Path, work_dir: Path, data_root: str
) -> None:
    """Build a gallery of the test frames and look for a person in it."""
    gallery = work_dir / 'gallery'
    model = ('--model', config, checkpoint, '--cfg-options', data_root)
    run('tools/search.py', 'index', gallery, '--split', 'test', *model)
    key, _, value = data_root.partition('=')
    dataset, truth = load_test_set(load_config(config, {key: value}))
    query = QUERY % truth.num_queries
    frame = int(truth.query_frames[query])
    run(
        'tools/search.py', 'query', gallery,
        dataset.get_data_info(frame)['img_path'],
        '--box', *(f'{side:.0f}' for side in truth.query_bboxes[query]),
        '--exclude-camera', truth.camera_ids[frame], '-k', 6,
        '--out', work_dir / 'pictures' / 'search.png', *model,
    )  # fmt: skip


def main() -> None:
    """Run the demo."""
    args = parse_args()
    start = time.time()
    work_dir, analysis = args.work_dir, 'tools/analysis_tools'
    for folder, options in TEST_SETS.values():
        run(
            'tools/make_scenes.py', args.data / folder, '--overwrite',
            *SCENES, *options,
        )  # fmt: skip
    known = TEST_SETS['known cameras'][0]
    scenes = args.data / known
    checkpoint = train(
        console,
        args.config,
        work_dir,
        [
            f'randomness.seed={args.seed}',
            *(
                f'{split}_dataloader.dataset.data_root={scenes}'
                for split in ('train', 'val', 'test')
            ),
        ],
    )
    for folder, _ in TEST_SETS.values():
        root = f'test_dataloader.dataset.data_root={args.data / folder}'
        out = work_dir / f'{folder}.npz'
        run(
            'tools/test.py', args.config, checkpoint, '--work-dir', work_dir,
            '--out', out, '--cfg-options', root,
        )  # fmt: skip
    root = f'test_dataloader.dataset.data_root={scenes}'
    pictures = work_dir / 'pictures'
    run(
        f'{analysis}/vis_ranks.py', args.config, work_dir / f'{known}.npz',
        '--num', 6, '--out-dir', pictures / 'ranks', '--cfg-options', root,
    )  # fmt: skip
    run(
        f'{analysis}/vis_points.py', args.config, checkpoint,
        '--out-dir', pictures / 'points', '--cfg-options', root,
    )  # fmt: skip
    run(
        f'{analysis}/plot_search.py', args.config, work_dir / f'{known}.npz',
        '--out-dir', pictures, '--cfg-options', root,
    )  # fmt: skip
    run(
        f'{analysis}/plot_training.py', work_dir,
        '--out', pictures / 'training.png',
    )  # fmt: skip
    search(args.config, checkpoint, work_dir, root)
    console.print(results_table(args.config, args.data, work_dir))
    minutes = (time.time() - start) / 60
    console.print(f'{minutes:.1f} minutes; pictures in {pictures}')


if __name__ == '__main__':
    run_cli(main)
