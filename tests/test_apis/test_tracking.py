"""Tests of the tracks of a video."""

import numpy as np
import pytest

from mmps.apis import tracking
from mmps.apis.person_model import Detections
from mmps.apis.tracking import TrackCollector
from mmps.gallery import Frame
from mmps.utils.errors import UsageError


def found(*scores):
    """People side by side, each with an embedding of their own."""
    left = 100.0 * np.arange(len(scores))
    boxes = np.column_stack((left, left * 0, left + 40, left * 0 + 100))
    return Detections(
        boxes.astype(np.float32),
        np.array(scores, np.float32),
        np.eye(4, dtype=np.float32)[: len(scores)],
    )


def frame(index):
    return Frame(f'a.mp4#t={index}', 'a.mp4', index, '', index / 10, 640, 360)


@pytest.fixture
def collector():
    pytest.importorskip('lap')
    return TrackCollector('a.mp4#tracks@10', det_thr=0.5)


def test_a_video_without_people(collector):
    collector.add(frame(0), found())
    frames, rows = collector.rows()
    assert frames == []
    assert len(rows) == 0


def test_weak_detections_start_no_track(collector):
    """They only continue one."""
    for index in range(4):
        collector.add(frame(index), found(0.9 - 0.1 * index, 0.3))
    frames, rows = collector.rows()
    assert len(rows) == 1
    assert [one.index for one in frames] == [0]
    assert rows.scores.tolist() == pytest.approx([0.9])
    np.testing.assert_allclose(rows.embeddings[0] > 0, np.eye(4)[0] > 0)


def test_without_lap(monkeypatch):
    def build(config):
        raise RuntimeError('lap is not installed')

    monkeypatch.setattr(tracking.MODELS, 'build', build)
    with pytest.raises(UsageError, match=r'pip install "mmps\[video\]"'):
        TrackCollector('a', det_thr=0.5)
