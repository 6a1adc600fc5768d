"""Tests of the metric in several processes: one process's figures exactly."""

import json

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import DefaultSampler
from mmengine.structures import InstanceData

from mmps.evaluation import PersonSearchMetric
from mmps.testing import noisy_predictions, random_ground_truth

from process_group import run_group

FRAMES = 31  # no multiple of the processes: samplers repeat frames


def sample_of(truth, preds, frame):
    rows = slice(*preds.frame_splits[frame : frame + 2])
    sample = DetDataSample(metainfo=dict(img_id=frame))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(preds.bboxes[rows]),
        scores=torch.tensor(preds.scores[rows]),
        embeddings=torch.tensor(preds.embeddings[rows]),
    )
    queries = (truth.query_frames == frame).nonzero()[0]
    sample.query_instances = InstanceData(
        query_indices=torch.tensor(queries),
        embeddings=torch.tensor(preds.query_embeddings[queries]),
    )
    return sample.to_dict()


def run_share(rank, world_size, folder):
    """One process's share of a test loop."""
    truth = random_ground_truth(FRAMES, num_queries=9)
    preds = noisy_predictions(truth, 16)
    metric = PersonSearchMetric(
        protocols=('regular', 'cross-camera'), cbgm=dict(k1=10, k2=3)
    )
    metric.dataset_meta = {'search': truth}
    frames = list(DefaultSampler(range(FRAMES), shuffle=False))
    if world_size > 1:
        assert len(frames) * world_size > FRAMES
    for start in range(0, len(frames), 3):
        batch = frames[start : start + 3]
        metric.process({}, [sample_of(truth, preds, f) for f in batch])
    figures = metric.evaluate(FRAMES)
    (folder / f'{world_size}-{rank}.json').write_text(json.dumps(figures))


@pytest.mark.parametrize('world_size', [2, 4])
def test_equal_figures(tmp_path, world_size):
    for size in (1, world_size):
        run_group(size, run_share, tmp_path)
    one = json.loads((tmp_path / '1-0.json').read_text())
    assert 0 < one['person_search/mAP'] < 1
    for rank in range(world_size):
        file = tmp_path / f'{world_size}-{rank}.json'
        assert json.loads(file.read_text()) == one
