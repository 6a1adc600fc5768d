#!/usr/bin/env python3
"""Evaluate stored predictions, without a model and without images."""

import argparse
import json
from pathlib import Path

from mmps.apis.stored_search import add_search_args, open_search
from mmps.evaluation.functional import (
    evaluate_detection,
    format_results,
    results_to_dict,
)
from mmps.utils.cli import UsageError, run_cli


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
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    out = args.out_json
    if out and (out.is_dir() or not out.parent.is_dir()):
        raise UsageError(f'--out-json {out}: expected a file in a folder')
    search = open_search(args)
    results, cbgm = search.evaluate(), search.cbgm
    detection = evaluate_detection(
        search.truth, search.preds, search.settings.score_thr
    )
    print(format_results(results, detection, cbgm))
    if out:
        text = json.dumps(results_to_dict(results, detection, cbgm), indent=2)
        out.write_text(text + '\n', encoding='utf-8')


if __name__ == '__main__':
    run_cli(main)
