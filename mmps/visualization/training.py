"""Curves of a training run."""

import json
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def read_scalars(work_dir: str | os.PathLike) -> dict[str, np.ndarray]:
    """Scalars that mmengine's LocalVisBackend wrote, all runs of a folder.

    Args:
        work_dir: The run's folder. A resumed run has one file per start;
            what a later start wrote of a step replaces the earlier value.

    Returns:
        Name to (n, 2) float64: step and value, by step.

    Raises:
        FileNotFoundError: The folder holds no scalars.
        ValueError: A line is no JSON; the message names file and line.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'{work_dir}: no */vis_data/scalars.json; expected the work '
            'folder of a training run'
        )
    curves: dict[str, dict[int, float]] = {}
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as err:
                raise ValueError(f'{file}, line {number}: {err}') from err
            step = row.get('step', row.get('iter'))
            for name, value in row.items():
                if step is not None and isinstance(value, (int, float)):
                    curves.setdefault(name, {})[step] = value
    return {
        name: np.array(sorted(curve.items()), dtype=np.float64)
        for name, curve in curves.items()
    }


def plot_training(scalars: dict[str, np.ndarray]) -> Figure:
    """Draw every loss, the learning rate and validation mAP over steps.

    Args:
        scalars: From :func:`read_scalars`.

    Returns:
        Figure: One small panel per curve.

    Raises:
        ValueError: There is no loss among the scalars.
    """
    names = [n for n in scalars if n == 'loss' or n.startswith('loss_')]
    if not names:
        raise ValueError('no loss among the scalars: was this a training?')
    names += [n for n in ('lr', 'person_search/mAP') if n in scalars]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(
        figsize=(3.2 * columns, 2.3 * rows), dpi=120, layout='constrained'
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for name, panel in zip(names, panels):
        steps, values = scalars[name].T
        # One value (a single validation) makes no line.
        panel.plot(steps, values, marker='o' if len(steps) == 1 else None)
        panel.set_title(name, fontsize=9)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.3)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    figure.supxlabel('training step', fontsize=9)
    return figure
