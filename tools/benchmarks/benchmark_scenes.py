#!/usr/bin/env python3
"""Cost of embedding a picture as a whole beside finding its people.

Of a model with a gallery filter (GFN), which a search asks which pictures to
look into. Both are measured turn by turn on one image.
"""

import argparse
import statistics
from pathlib import Path

from rich.console import Console

from mmps.cli.common import run_cli
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError
from mmps.utils.files import existing_file
from mmps.utils.part_imports import import_parts

from benchmark_predict import RepeatedPrediction
from measuring import (
    CONFIGS,
    Row,
    in_turns,
    median_ratio,
    prediction_parser,
    print_rows,
    write_report,
)

console = Console(highlight=False)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = prediction_parser(__doc__, (384, 216))
    parser.set_defaults(
        configs=[str(CONFIGS / 'seqnext/seqnext-gfn_r50_prw.py')]
    )
    return parser.parse_args()


class RepeatedSceneEmbedding(RepeatedPrediction):
    """A detector that embeds its own image as a whole, over and over."""

    def predict(self, batch: dict) -> None:
        """What is measured."""
        batch = self.model.data_preprocessor(batch)
        x = self.model.extract_feat(batch['inputs'])
        self.model.roi_head.gallery_filter(x)


def table_row(config: str, args: argparse.Namespace) -> Row:
    """The line of a config."""
    name = Path(existing_file(config, 'config')).stem
    model = load_config(config).model
    if not model.get('roi_head', {}).get('gallery_filter'):
        raise UsageError(f'{config}: expected a model with a gallery_filter')
    console.print(f'measuring {name}')
    pair = [
        RepeatedSceneEmbedding(model, args),
        RepeatedPrediction(model, args),
    ]
    times = in_turns(pair, args.rounds, warm_up=1)
    seconds = map(statistics.median, times)
    return Row(
        name, 's/image', *seconds, 'its prediction', median_ratio(*times)
    )


def main() -> None:
    """Run the tool."""
    args = parse_args()
    import_parts()
    rows = [table_row(config, args) for config in args.configs]
    width, height = args.size
    title = f'Embedding an image of {width} x {height}, {args.device}'
    print_rows(title, rows, console)
    if args.out_json:
        write_report(args.out_json, rows)


if __name__ == '__main__':
    run_cli(main)
