"""Several processes give one process's figures, to the last digit."""

import json
import multiprocessing

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import DefaultSampler
from mmengine.structures import InstanceData

from mmps.engine.launch import close_processes
from mmps.evaluation import PersonSearchMetric
from mmps.testing.search_problems import noisy_predictions, random_ground_truth

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
    torch.set_num_threads(1)
    if world_size > 1:
        torch.distributed.init_process_group(
            'gloo',
            init_method=f'file://{folder}/store{world_size}',
            rank=rank,
            world_size=world_size,
        )
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
    if world_size > 1:
        close_processes()


@pytest.mark.parametrize('world_size', [2, 4])
def test_equal_figures(tmp_path, world_size):
    context = multiprocessing.get_context('fork')
    shares = [(0, 1), *((rank, world_size) for rank in range(world_size))]
    processes = [
        context.Process(target=run_share, args=(*share, tmp_path))
        for share in shares
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
        assert process.exitcode == 0
    one = json.loads((tmp_path / '1-0.json').read_text())
    assert 0 < one['person_search/mAP'] < 1
    for rank in range(world_size):
        file = tmp_path / f'{world_size}-{rank}.json'
        assert json.loads(file.read_text()) == one
