"""Tests of the colour baselines against a loop, and as a command."""

import json

import numpy as np
import pytest

from mmps.cli.stored_search import load_test_set
from mmps.structures import SearchPredictions
from mmps.utils.config import load_config

CONFIG = 'configs/pcnet/pcnet_r18_scenes.py'


def test_strips_equal_a_loop_over_pixels(tool):
    baselines = tool('analysis_tools/baselines.py')
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    boxes = np.array(
        [[3.2, 5.0, 12.7, 38.9], [-4, -3, 6, 20], [25, 30, 40, 60]]
    )
    for strips in (1, 10):
        got = baselines.strip_colours(image, boxes, strips)
        assert got.shape == (3, 3 * strips)
        for box, row in zip(boxes, got.reshape(3, strips, 3)):
            x1 = int(np.clip(np.floor(box[0]), 0, 29))
            x2 = int(np.clip(np.ceil(box[2]), x1 + 1, 30))
            y1 = float(np.clip(box[1], 0, 39))
            y2 = float(np.clip(box[3], y1 + 1, 40))
            for i in range(strips):
                top = int(np.floor((y2 - y1) * i / strips + y1))
                bottom = (y2 - y1) * (i + 1) / strips + y1
                bottom = max(int(np.ceil(bottom)), top + 1)
                pixels = image[top:bottom, x1:x2].reshape(-1, 3)
                np.testing.assert_allclose(row[i], pixels.mean(0))
    assert baselines.strip_colours(image, boxes[:0], 10).shape == (0, 30)


@pytest.fixture
def run(cli, tmp_path, scenes):
    """The tool's rows; an error's text where it fails."""

    def call(*words, config=CONFIG):
        out = tmp_path / 'baselines.json'
        status, err = cli(
            'analysis_tools/baselines.py',
            config,
            '--out-json',
            out,
            *words,
            '--cfg-options',
            f'test_dataloader.dataset.data_root={scenes}',
            'test_dataloader.num_workers=0',
            'test_dataloader.persistent_workers=False',
        )
        return err if status else json.loads(out.read_text())

    return call


def test_prints_and_writes_all_baselines(run):
    rows = run()
    assert set(rows) == {'mean-colour', 'strips', 'untrained'}
    assert all(0 < row['mAP'] <= 1 for row in rows.values())
    assert rows['strips'] != rows['mean-colour'] != rows['untrained']


@pytest.mark.parametrize('name', ['oim/oim', 'alignps/roi-alignps'])
def test_untrained_networks_get_annotated_boxes(run, name):
    """Of an untrained detector's own boxes nobody would be found again."""
    config = f'configs/{name}_r18_scenes.py'
    rows = run('--kinds', 'untrained', config=config)
    assert rows['untrained']['mAP'] > 0.05


def test_colours_of_detections(run, scenes, tmp_path):
    """Annotated boxes as detections: the same; unsure ones do not count."""
    options = {'test_dataloader.dataset.data_root': str(scenes)}
    _, truth = load_test_set(load_config(CONFIG, options))
    preds = SearchPredictions(
        frame_names=truth.frame_names,
        frame_splits=truth.frame_splits,
        bboxes=truth.bboxes,
        scores=np.ones(len(truth.bboxes)),
        embeddings=np.ones((len(truth.bboxes), 2)),
        query_embeddings=np.ones((len(truth.query_bboxes), 2)),
    )
    path = tmp_path / 'preds.npz'
    preds.save(path)
    rows = run('--detections', path)
    annotated = run('--kinds', 'mean-colour', 'strips')
    assert rows == annotated
    preds.scores[truth.person_ids == truth.query_person_ids[0]] = 0.49
    preds.save(path)
    fewer = run('--detections', path, '--kinds', 'strips')
    assert fewer['strips']['mAP'] < rows['strips']['mAP']
    err = run('--detections', path, '--kinds', 'untrained')
    assert 'untrained takes ground-truth boxes only' in err
