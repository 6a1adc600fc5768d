#!/usr/bin/env python3
"""Convert PRW, CUHK-SYSU or LSPS to COCO JSON with person ids.

Writes train.json, test.json and query.json, which
mmps.CocoPersonSearchDataset reads; the images stay where they are.
"""

import argparse
from pathlib import Path

from mmps.cli.common import run_cli
from mmps.datasets import CUHKSYSUDataset, LSPSDataset, PRWDataset
from mmps.datasets.coco_export import export_coco

DATASETS = {
    'prw': PRWDataset,
    'cuhk_sysu': CUHKSYSUDataset,
    'lsps': LSPSDataset,
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'dataset', choices=DATASETS, help='what the folder holds'
    )
    parser.add_argument('out_dir', type=Path, help='folder for the JSON files')
    parser.add_argument(
        '--data-root', help="the data set's folder (default: data/...)"
    )
    parser.add_argument(
        '--split',
        nargs='+',
        choices=['train', 'test'],
        default=['train', 'test'],
        help='what to convert (default: both)',
    )
    parser.add_argument(
        '--without-images',
        action='store_true',
        help='the photographs are not there: write no heights and widths',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    root = {} if args.data_root is None else dict(data_root=args.data_root)
    for split in args.split:
        dataset = DATASETS[args.dataset](
            split=split,
            lazy_init=True,
            check_images=not args.without_images,
            read_sizes=not args.without_images,
            **root,
        )
        table = dataset.load_table()
        ann_file = args.out_dir / f'{split}.json'
        export_coco(table, ann_file, args.out_dir / 'query.json')
        num_ids = len(table.known_raw_person_ids())
        print(
            f'{ann_file}: {len(table.frame_names)} images, '
            f'{len(table.bboxes)} boxes, {num_ids} ids, '
            f'{len(table.query_frames)} queries, '
            f'galleries {list(table.galleries)}; '
            f'images in {dataset.data_prefix["img_path"]}'
        )


if __name__ == '__main__':
    run_cli(main)
