"""Tests of the colour baselines against a loop, and as a command."""

import json

import numpy as np


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


def test_prints_and_writes_all_baselines(cli, tmp_path, scenes):
    out = tmp_path / 'baselines.json'
    status, err = cli(
        'analysis_tools/baselines.py',
        'configs/pcnet/pcnet_r18_scenes.py',
        '--out-json',
        out,
        '--cfg-options',
        f'test_dataloader.dataset.data_root={scenes}',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
    )
    assert status == 0, err
    rows = json.loads(out.read_text())
    assert set(rows) == {'mean-colour', 'strips', 'untrained'}
    assert all(0 < row['mAP'] <= 1 for row in rows.values())
    assert rows['strips'] != rows['mean-colour'] != rows['untrained']
