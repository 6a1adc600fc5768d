#!/usr/bin/env python3
"""Turn a checkpoint of a method's published code into one of mmps.

It is recognised by its weights: which method, and by the rows of its lookup
table which data set. The new file loads into the config that is named at the
end, whose answers are those of the published code. Nothing in the file is
run.
"""

import argparse
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mmps import __version__
from mmps.apis.shipped_models import build_model
from mmps.checkpoints.published import (
    FAMILIES,
    Imported,
    convert,
    recognise,
)
from mmps.checkpoints.published.family import ROWS
from mmps.checkpoints.reading import (
    CONTAINERS,
    hash_weights,
    load_state,
    read_checkpoint,
    weights_of,
)
from mmps.cli.common import add_trust_arg, run_cli
from mmps.engine.launch import writable_folder
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole
from mmps.utils.part_imports import import_parts

QUEUES = '.memory.queue', '.memory.background'
# They are built from the config of the last one.
_EARLIER_HEADS = re.compile(r'earlier_reid_heads\.\d+')

console = Console(highlight=False, soft_wrap=True)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'checkpoint', nargs='?', type=Path, metavar='FILE',
        help='checkpoint of published code',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, metavar='NAME.pth',
        help='file to write (default: CONFIG.pth beside FILE, if there is '
        'none)',
    )  # fmt: skip
    parser.add_argument(
        '--family', choices=FAMILIES, help='the method (default: recognised)'
    )
    parser.add_argument(
        '--dataset', choices=ROWS,
        help='what it was trained on (default: by the rows of its table)',
    )  # fmt: skip
    parser.add_argument(
        '--list', action='store_true', help='print what is known, and end'
    )
    add_trust_arg(parser)
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    if args.list:
        print_families()
        return
    if args.checkpoint is None:
        raise UsageError('expected a FILE, or --list')
    source = args.checkpoint
    checkpoint = read_checkpoint(source, args.trust_checkpoint)
    refuse_own(checkpoint, source)
    weights = weights_of(checkpoint)
    try:
        imported = convert(weights, args.family, args.dataset)
    except UsageError as err:
        raise UsageError(f'checkpoint {source}: {err}') from err
    console.print(
        f'{source}: {imported.family.title} on {imported.dataset}, '
        f'{len(weights)} weights'
    )
    others = [f.name for f in recognise(weights) if f != imported.family]
    if others:
        console.print(f'as well, with --family: {", ".join(others)}')
    options = fit(imported, source)
    out = args.out or source.with_name(f'{imported.config}.pth')
    if out.exists() and (args.out is None or out.samefile(source)):
        raise UsageError(
            f'{out} is there already; expected another name (--out)'
        )
    write(imported, source, out)
    if left_out := [*unused(imported), *other_content(checkpoint)]:
        console.print(f'left out: {", ".join(left_out)}')
    console.print(f'{out}  {out.stat().st_size / 2**20:.1f} MiB')
    console.print(f'config: {" ".join([imported.config, *options])}')


def refuse_own(checkpoint: Mapping[str, Any], source: Path) -> None:
    """Raise UsageError for a checkpoint that mmps has written."""
    meta = checkpoint.get('meta')
    if isinstance(meta, Mapping) and 'mmps_version' in meta:
        config = (meta.get('imported') or {}).get('config')
        raise UsageError(
            f'checkpoint {source}: is one of mmps already'
            + (f', for the config {config}' if config else '')
            + "; expected one of a method's published code"
        )


def print_families() -> None:
    """Show what can be imported."""
    # Without lines all names are whole in 80 columns.
    table = Table('--family', '--dataset', 'rows', 'config', box=None)
    for family in FAMILIES.values():
        for dataset, config in family.configs.items():
            rows = ' or '.join(map(str, ROWS[dataset]))
            table.add_row(family.name, dataset, rows, config)
    console.print(table)


def fit(imported: Imported, source: Path) -> list[str]:
    """Load converted weights into their config's model, all of them.

    Args:
        imported: The weights.
        source: Where they come from, for messages.

    Returns:
        Options that the config needs, where the queues of the memory have
        other sizes than in it.

    Raises:
        UsageError: They do not fit.
    """
    import_parts()
    config = load_config(imported.config)
    model = build_model(config)
    own = model.state_dict()
    options = {
        f'model.{_EARLIER_HEADS.sub("reid_head", key)}_size': len(rows)
        for key, rows in imported.state.items()
        if key.endswith(QUEUES) and key in own and len(rows) != len(own[key])
    }
    if options:
        config.merge_from_dict(options)
        model = build_model(config)
    load_state(model, dict(state_dict=imported.state), str(source))
    if not options:
        return []
    return ['--cfg-options', *(f'{k}={v}' for k, v in options.items())]


def write(imported: Imported, source: Path, out: Path) -> None:
    """Write the new checkpoint.

    Args:
        imported: The weights.
        source: The published file.
        out: The file to write.
    """
    writable_folder(out.parent, '--out')
    meta = dict(
        mmps_version=__version__,
        weights_sha256=hash_weights(imported.state),
        imported=dict(
            family=imported.family.name,
            dataset=imported.dataset,
            config=imported.config,
            file=source.name,
        ),
    )
    data = dict(state_dict=imported.state, meta=meta)
    write_whole(out, lambda file: torch.save(data, file))


def unused(imported: Imported) -> list[str]:
    """Weights that the config has no use for, by what they begin with."""
    counts = Counter(
        rule.source
        for rule in imported.family.rules
        for key in imported.left_out
        if rule.target is None and key.startswith(rule.source)
    )
    return [f'{start}* ({count} weights)' for start, count in counts.items()]


def other_content(checkpoint: Mapping[str, Any]) -> list[str]:
    """What a file holds beside weights, such as the optimizer."""
    return [
        name
        for name, value in checkpoint.items()
        if name not in CONTAINERS and not isinstance(value, Tensor)
    ]


if __name__ == '__main__':
    run_cli(main)
