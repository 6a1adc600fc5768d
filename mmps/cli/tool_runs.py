"""Runs of the project's tools from another tool, one process each."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

_ITERATION = re.compile(r'Iter\(train\)\s*\[\s*(\d+)/(\d+)\].* loss: (\S+)')


def run_tool(console: Console, *command: object) -> None:
    """Show and run a tool; its output is shown.

    Args:
        console: Where the command is shown.
        *command: The tool's file and its arguments.

    Raises:
        UsageError: It failed; what it wrote says why.
    """
    line = [str(word) for word in command]
    console.print(f'[bold]$ python {shlex.join(line)}[/bold]')
    if subprocess.run([sys.executable, *line]).returncode:
        raise UsageError(f'{line[0]} failed')


def train(
    console: Console, config: str, work_dir: Path, options: Sequence[str] = ()
) -> Path:
    """Train with a progress bar in the place of the log.

    What is there already is not done again: a finished training is left
    alone, an interrupted one goes on from its last checkpoint. The log is in
    ``work_dir/train.log``.

    Args:
        console: Where command and progress are shown.
        config: A config that counts iterations.
        work_dir: The run's folder.
        options: Of ``--cfg-options``, ``KEY=VALUE``.

    Returns:
        The last checkpoint.

    Raises:
        UsageError: Training failed; the message has the log's end.
    """
    total = load_config(config).train_cfg.max_iters
    for option in options:
        if option.startswith('train_cfg.max_iters='):
            total = int(option.partition('=')[2])
    checkpoint = work_dir / f'iter_{total}.pth'
    if checkpoint.is_file():
        console.print(
            f'{checkpoint} is there: not trained again (remove {work_dir} '
            'to start over)'
        )
        return checkpoint
    line = ['tools/train.py', config, '--resume=auto']
    line += ['--work-dir', str(work_dir)]
    if options:
        line += ['--cfg-options', *options]
    console.print(f'[bold]$ python {shlex.join(line)}[/bold]')
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / 'train.log'
    process = subprocess.Popen(
        [sys.executable, *line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    columns = (
        TextColumn('training'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('loss {task.fields[loss]}'),
        TimeRemainingColumn(),
    )
    shown = Progress(*columns, console=console)
    with log.open('w', buffering=1) as file, shown as progress:
        task = progress.add_task('', total=total, loss='')
        for text in process.stdout:
            file.write(text)
            if match := _ITERATION.search(text):
                progress.update(task, completed=int(match[1]), loss=match[3])
    if process.wait():
        tail = log.read_text().splitlines()[-5:]
        raise UsageError(f'training failed, see {log}: {" / ".join(tail)}')
    return checkpoint
