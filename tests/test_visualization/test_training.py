"""Tests of reading and drawing the scalars of a training run."""

import json

import numpy as np
import pytest

from mmps.visualization.training import plot_training, read_scalars


def write(folder, name, rows):
    file = folder / name / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, rows)) + '\n')
    return file


def test_a_later_start_replaces_steps_of_an_earlier_one(tmp_path):
    write(
        tmp_path,
        '20260101_000000',
        [dict(step=s, loss=float(s), lr=0.1) for s in (10, 20, 30)],
    )
    write(
        tmp_path,
        '20260102_000000',
        [dict(step=s, loss=100.0 + s) for s in (30, 40)],
    )
    scalars = read_scalars(tmp_path)
    np.testing.assert_array_equal(
        scalars['loss'], [[10, 10], [20, 20], [30, 130], [40, 140]]
    )
    assert scalars['lr'][:, 0].tolist() == [10, 20, 30]


def test_panels_hold_the_curves(tmp_path):
    rows = [dict(step=s, loss=2.0, loss_reid=float(s)) for s in (1, 2)]
    rows.append({'step': 2, 'person_search/mAP': 0.5, 'time': 1.0})
    write(tmp_path, 'run', rows)
    figure = plot_training(read_scalars(tmp_path))
    lines = {a.get_title(): a.lines for a in figure.axes if a.lines}
    assert set(lines) == {'loss', 'loss_reid', 'person_search/mAP'}
    assert lines['loss_reid'][0].get_ydata().tolist() == [1, 2]
    assert lines['person_search/mAP'][0].get_marker() == 'o'
    # Places of the grid without a curve show nothing.
    assert [bool(a.lines) for a in figure.axes] == [
        a.axison for a in figure.axes
    ]


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='work folder of a training'):
        read_scalars(tmp_path)
    file = write(tmp_path, 'run', [dict(step=1, time=2.0)])
    with pytest.raises(ValueError, match='no loss'):
        plot_training(read_scalars(tmp_path))
    file.write_text('{"step": 1}\n{"st')
    with pytest.raises(ValueError, match=r'scalars\.json, line 2'):
        read_scalars(tmp_path)
