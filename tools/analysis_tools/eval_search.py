#!/usr/bin/env python3
"""Evaluate stored predictions, without a model and without images."""

import argparse
import json
from pathlib import Path

from mmps.cli.common import run_cli, share
from mmps.cli.stored_search import add_search_args, open_search
from mmps.evaluation import PersonSearchMetric
from mmps.evaluation.functional import (
    describe_protocol,
    evaluate_detection,
    format_results,
    format_thresholds,
    metrics_of,
    results_to_dict,
    scene_thresholds,
)
from mmps.results.result_file import write_results
from mmps.results.result_record import result_record
from mmps.structures import hash_predictions
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_search_args(parser)
    parser.add_argument(
        '--out-json',
        type=Path,
        metavar='FILE',
        help='write the figures as fractions: mAP, top-1, top-5, top-10 at '
        'the top, and under results for each protocol or gallery',
    )
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FILE',
        help='write a result file as tools/test.py does, for '
        'compare_results.py; the weights are not known here',
    )
    parser.add_argument(
        '--scene-report',
        nargs='*',
        type=share,
        metavar='SHARE',
        help='also search with thresholds of the gallery filter that skip '
        'these shares of the frames (default: 0 .1 .25 .5 .75 .9), and print '
        'what each loses',
    )
    return parser.parse_args()


def check_file(option: str, path: Path | None) -> None:
    """Raise UsageError unless a file could be written there."""
    if path and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(f'{option} {path}: expected a file in a folder')


def main() -> None:
    """Run the tool."""
    args = parse_args()
    out = args.out_json
    check_file('--out-json', out)
    check_file('--results', args.results)
    search = open_search(args)
    results, cbgm = search.evaluate(), search.cbgm
    detection = evaluate_detection(
        search.truth, search.preds, search.settings.score_thr
    )
    print(format_results(results, detection, cbgm))
    if args.scene_report is not None:
        shares = [args.scene_report] if args.scene_report else []
        print(
            format_thresholds(
                scene_thresholds(
                    search.truth, search.preds, search.settings, *shares
                )
            )
        )
    if out:
        text = json.dumps(results_to_dict(results, detection, cbgm), indent=2)
        write_whole(out, f'{text}\n')
    if args.results:
        figures = metrics_of(results, detection)
        prefix = PersonSearchMetric.default_prefix
        record = result_record(
            search.config,
            search.dataset,
            {f'{prefix}/{name}': value for name, value in figures.items()},
            describe_protocol(results, search.settings.score_thr, cbgm),
            predictions=hash_predictions(search.preds),
        )
        write_results(args.results, record)


if __name__ == '__main__':
    run_cli(main)
