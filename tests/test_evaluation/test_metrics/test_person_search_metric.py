"""Tests of the metric on data samples, as mmengine's loops feed it."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from scene_problems import with_scenes
from torch.utils.data import DataLoader

from mmps.evaluation import PersonSearchMetric
from mmps.evaluation.functional import (
    ContextMatching,
    SceneFiltering,
    SearchSettings,
    describe_protocol,
    evaluate_detection,
    evaluate_search,
    sample_gallery,
)
from mmps.registry import METRICS
from mmps.structures import SearchPredictions, hash_predictions
from mmps.testing import noisy_predictions, random_ground_truth


@pytest.fixture
def truth():
    return random_ground_truth(30, num_queries=8)


@pytest.fixture
def preds(truth):
    return noisy_predictions(truth, 16)


def to_samples(truth, preds, dtype=torch.float32):
    """One DetDataSample per frame; half of the rest have no queries field."""
    samples = []
    for i, name in enumerate(truth.frame_names):
        rows = slice(*preds.frame_splits[i : i + 2])
        sample = DetDataSample(metainfo=dict(img_id=i, frame_name=name))
        sample.pred_instances = InstanceData(
            bboxes=torch.tensor(preds.bboxes[rows]),
            scores=torch.tensor(preds.scores[rows]),
            labels=torch.zeros(len(preds.scores[rows]), dtype=torch.long),
            embeddings=torch.tensor(preds.embeddings[rows]).to(dtype),
        )
        queries = np.flatnonzero(truth.query_frames == i)
        if len(queries) or i % 2:
            sample.query_instances = InstanceData(
                query_indices=torch.tensor(queries),
                embeddings=torch.tensor(preds.query_embeddings[queries]).to(
                    dtype
                ),
            )
        samples.append(sample)
    return samples


def evaluate(truth, samples, batch=3, **options):
    metric = METRICS.build(dict(type='mmps.PersonSearchMetric', **options))
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {'classes': ('person',), 'search': truth}
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples))


def test_equals_the_functions(truth, preds):
    metrics = evaluate(truth, to_samples(truth, preds))
    wanted = evaluate_search(truth, preds)['regular'].metrics()
    wanted |= evaluate_detection(truth, preds).metrics()
    assert metrics == pytest.approx(
        {f'person_search/{key}': value for key, value in wanted.items()}
    )
    assert list(wanted) == [
        'mAP', 'top-1', 'top-5', 'top-10',
        'recall', 'AP', 'labelled_recall', 'labelled_AP',
    ]  # fmt: skip
    assert all(type(value) is float for value in metrics.values())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_embeddings(truth, preds, dtype):
    metrics = evaluate(truth, to_samples(truth, preds, dtype))
    for key in 'embeddings', 'query_embeddings':
        rounded = torch.tensor(getattr(preds, key)).to(dtype).float()
        setattr(preds, key, rounded.numpy())
    assert metrics['person_search/mAP'] == pytest.approx(
        evaluate_search(truth, preds)['regular'].mean_ap
    )


def test_order_and_repeats_do_not_matter(truth, preds):
    samples = to_samples(truth, preds)
    wanted = evaluate(truth, samples)
    order = np.random.default_rng(0).permutation(len(samples))
    shuffled = [samples[i] for i in order]
    assert evaluate(truth, shuffled) == wanted
    # A distributed sampler repeats frames to fill up the last batch.
    assert evaluate(truth, shuffled + shuffled[:4]) == wanted


def test_protocols_and_thresholds(truth, preds):
    options = dict(det_thr=0.7, score_thr=0.3)
    metrics = evaluate(
        truth,
        to_samples(truth, preds),
        protocols=['regular', 'cross-camera'],
        **options,
    )
    results = evaluate_search(
        truth, preds, 0.7, protocols=('regular', 'cross-camera')
    )
    detection = evaluate_detection(truth, preds, 0.3)
    wanted = results['regular'].metrics() | detection.metrics()
    for name, result in results.items():
        wanted |= {f'{k}_{name}': v for k, v in result.metrics().items()}
    assert metrics == pytest.approx(
        {f'person_search/{key}': value for key, value in wanted.items()}
    )
    assert detection != evaluate_detection(truth, preds)


def test_galleries(truth, preds):
    for size in 5, 10:
        truth.galleries[str(size)] = sample_gallery(truth, size)
    truth.galleries['occlusion'] = sample_gallery(truth, 7)
    metrics = evaluate(truth, to_samples(truth, preds), prefix='test')
    results = evaluate_search(truth, preds)
    assert metrics['test/mAP'] == results['5'].mean_ap
    assert metrics['test/mAP_gallery5'] == results['5'].mean_ap
    assert metrics['test/top-1_gallery10'] == results['10'].top(1)
    assert metrics['test/mAP_occlusion'] == results['occlusion'].mean_ap
    one = evaluate(truth, to_samples(truth, preds), gallery_sizes=[10])
    assert one['person_search/mAP'] == results['10'].mean_ap
    assert 'person_search/mAP_gallery10' not in one


@pytest.mark.parametrize(
    ('cbgm', 'settings'),
    [
        (True, ContextMatching(30, 4)),
        (dict(k1=2, k2=2), ContextMatching(2, 2)),
    ],
)
def test_cbgm(truth, preds, cbgm, settings):
    metrics = evaluate(truth, to_samples(truth, preds), cbgm=cbgm)
    result = evaluate_search(truth, preds, cbgm=settings)['regular']
    assert metrics['person_search/mAP'] == pytest.approx(result.mean_ap)


@pytest.mark.parametrize('thr', [0.0, 0.45])
def test_scenes_travel_in_the_samples(truth, preds, tmp_path, thr):
    preds = with_scenes(preds, truth)
    samples = to_samples(truth, preds)
    for i, sample in enumerate(samples):
        sample.scene_embedding = torch.tensor(preds.scene_embeddings[i])
        if 'query_instances' in sample:
            queries = sample.query_instances
            queries.scene_filters = torch.tensor(preds.query_scene_filters)[
                queries.query_indices
            ]
    path = tmp_path / 'preds.npz'
    settings = dict(scene_filter=dict(thr=thr))
    metrics = evaluate(truth, samples, outfile=str(path), **settings)
    wanted = evaluate_search(truth, preds, scenes=SceneFiltering(thr))
    assert metrics['person_search/mAP'] == wanted['regular'].mean_ap
    stored = SearchPredictions.load(path)
    for name in ('scene_embeddings', 'query_scene_filters'):
        np.testing.assert_array_equal(
            getattr(stored, name), getattr(preds, name)
        )
    # They need not be used, and have to be there if they are to be.
    plain = evaluate(truth, samples)
    assert plain == evaluate(truth, to_samples(truth, preds))
    with pytest.raises(ValueError, match='no scene_embeddings'):
        evaluate(truth, to_samples(truth, preds), **settings)


def test_outfile_gives_the_same_figures(truth, preds, tmp_path):
    path = tmp_path / 'preds.npz'
    samples = to_samples(truth, preds)
    metrics = evaluate(truth, samples, outfile=str(path), score_thr=0.2)
    stored = SearchPredictions.load(path)
    kept = preds.select(preds.scores >= 0.2)
    np.testing.assert_array_equal(stored.embeddings, kept.embeddings)
    np.testing.assert_array_equal(stored.bboxes, kept.bboxes)
    np.testing.assert_array_equal(
        stored.query_embeddings, preds.query_embeddings
    )
    result = evaluate_search(truth, stored)['regular']
    assert metrics['person_search/mAP'] == result.mean_ap
    assert evaluate(truth, samples, score_thr=0.2) == metrics


def test_says_how_the_figures_came_about(truth, preds, tmp_path):
    metric = PersonSearchMetric(
        det_thr=0.6, cbgm=dict(k1=5, k2=2), outfile=str(tmp_path / 'p.npz')
    )
    assert metric.record == {}
    samples = [sample.to_dict() for sample in to_samples(truth, preds)]
    metric.process({}, samples)
    metric.dataset_meta = {'search': truth}
    metric.compute_metrics(metric.results)
    cbgm = ContextMatching(5, 2)
    results = evaluate_search(truth, preds, 0.6, cbgm=cbgm)
    stored = SearchPredictions.load(tmp_path / 'p.npz')
    assert metric.record == dict(
        protocol=describe_protocol(results, 0.01, cbgm),
        predictions=hash_predictions(stored),
    )
    metric.outfile = None
    metric.compute_metrics(metric.results)
    assert metric.record['predictions'] is None


def test_memory_holds_only_what_is_searched(truth, preds):
    metric = PersonSearchMetric(det_thr=0.6, score_thr=0.2)
    samples = to_samples(truth, preds)
    metric.process({}, [sample.to_dict() for sample in samples])
    rows = sum(len(result['embeddings']) for result in metric.results)
    assert rows == (preds.scores >= 0.6).sum()
    rows = sum(len(result['scores']) for result in metric.results)
    assert rows == (preds.scores >= 0.2).sum()
    for result in metric.results:
        arrays = [v for v in result.values() if isinstance(v, np.ndarray)]
        floats = {a.dtype for a in arrays if a.dtype.kind == 'f'}
        assert floats == {np.dtype(np.float32)}
        assert all(a.base is None or a.base.nbytes == a.nbytes for a in arrays)


def test_logs_a_table_with_the_threshold(truth, preds):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    # Another test's run may have made it quieter.
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        evaluate(truth, to_samples(truth, preds), det_thr=0.55)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    [table] = [line for line in lines if 'detection score' in line]
    assert 'search: detection score >= 0.55; detection: score >= 0.01' in table
    assert all(name in table for name in ('mAP', 'top-10', 'labelled'))


def test_no_search_in_the_data_set(truth, preds):
    metric = PersonSearchMetric()
    metric.process({}, [s.to_dict() for s in to_samples(truth, preds)])
    for meta in None, {'classes': ('person',)}:
        metric.dataset_meta = meta
        with pytest.raises(ValueError, match="metainfo has no 'search'"):
            metric.compute_metrics(metric.results)


def test_missing_frames_are_named(truth, preds):
    samples = to_samples(truth, preds)
    with pytest.raises(
        ValueError,
        match='2 of 30 frames have no prediction, .* frame_000003.jpg, '
        'frame_000007.jpg',
    ):
        evaluate(truth, [s for i, s in enumerate(samples) if i not in (3, 7)])


def test_missing_query_embeddings_are_named(truth, preds):
    samples = to_samples(truth, preds)
    frame = int(truth.query_frames[5])
    mine = np.flatnonzero(truth.query_frames == frame)
    del samples[frame].query_instances
    with pytest.raises(
        ValueError,
        match=f'{len(mine)} of 8 queries have no embedding, the first are '
        rf'{mine[0]} \(in {truth.frame_names[frame]}\)',
    ):
        evaluate(truth, samples)


def test_foreign_samples(truth, preds):
    samples = to_samples(truth, preds)
    samples[4].set_metainfo(dict(frame_name='c1s1_1.jpg'))
    with pytest.raises(ValueError, match='img_id 4 is c1s1_1.jpg, but frame_'):
        evaluate(truth, samples)
    samples = to_samples(truth, preds)
    samples[4].set_metainfo(dict(img_id=30))
    with pytest.raises(
        ValueError, match='img_id 30 is not one of .* 30 frame'
    ):
        evaluate(truth, samples)


def test_predictions_without_embeddings(truth, preds):
    samples = to_samples(truth, preds)
    del samples[0].pred_instances.embeddings
    with pytest.raises(ValueError, match='pred_instances has no embeddings'):
        evaluate(truth, samples)
    samples = to_samples(truth, preds)
    frame = int(truth.query_frames[0])
    del samples[frame].query_instances.embeddings
    with pytest.raises(ValueError, match=f'img_id {frame} has no embeddings'):
        evaluate(truth, samples)


def test_nan_embeddings_are_an_error(truth, preds):
    samples = to_samples(truth, preds)
    samples[0].pred_instances.scores[:] = 0.9
    samples[0].pred_instances.embeddings[0, 0] = float('nan')
    with pytest.raises(ValueError, match='embeddings: 1 values are not fin'):
        evaluate(truth, samples)


def test_no_detection_in_any_frame(truth):
    preds = noisy_predictions(truth, 16, found=0, false_per_frame=0)
    metrics = evaluate(truth, to_samples(truth, preds))
    assert set(metrics.values()) == {0.0}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(det_thr=1.5), 'score_thr <= det_thr <= 1'),
        (dict(det_thr=0.1, score_thr=0.2), 'score_thr=0.2, det_thr=0.1'),
        (dict(protocols=['multi']), "protocols is .'multi'., expected a list"),
        (dict(protocols='regular'), 'expected a list out of'),
        (dict(protocols=[]), 'expected a list out of'),
        (dict(gallery_sizes='50'), "'50', expected a list of names"),
        (dict(outfile='preds.pkl'), 'ends in .npz'),
        (dict(cbgm=dict(k1=0, k2=3)), 'k1 and k2 must be 1 or more'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        PersonSearchMetric(**options)


def test_holds_the_settings_of_a_search():
    options = dict(det_thr=0.7, protocols=['same-camera'], cbgm=True)
    assert PersonSearchMetric(**options).settings == SearchSettings(**options)
    assert PersonSearchMetric().settings == SearchSettings()


class Replay(BaseModel):
    """Predicts what is stored; its loss moves one weight."""

    def __init__(self, samples):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.samples = samples

    def forward(self, inputs, mode):
        if mode == 'loss':
            return {'loss': (self.weight - 1).square().sum()}
        return [self.samples[i] for i in inputs]


class Frames(torch.utils.data.Dataset):
    def __init__(self, truth):
        self.metainfo = {'search': truth}

    def __len__(self):
        return len(self.metainfo['search'].frame_names)

    def __getitem__(self, i):
        return {'inputs': i}


def test_feeds_logger_best_checkpoint_and_tensorboard(truth, preds, tmp_path):
    reader = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator'
    )
    loader = DataLoader(Frames(truth), batch_size=4, collate_fn=pseudo_collate)
    runner = Runner(
        model=Replay(to_samples(truth, preds)),
        work_dir=str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg=dict(),
        val_evaluator=dict(type='mmps.PersonSearchMetric'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', save_best='person_search/mAP'
            )
        ),
        visualizer=dict(
            type='Visualizer',
            vis_backends=[dict(type='TensorboardVisBackend')],
        ),
        experiment_name='metric',
    )
    runner.train()
    runner.visualizer.close()
    assert (tmp_path / 'best_person_search_mAP_epoch_1.pth').is_file()
    wanted = evaluate_search(truth, preds)['regular'].mean_ap
    [events] = tmp_path.glob('**/events.out.tfevents*')
    scalars = reader.EventAccumulator(str(events)).Reload().Scalars
    assert scalars('person_search/mAP')[0].value == pytest.approx(wanted)
    [log] = tmp_path.glob('*/*.log')
    assert f'person_search/mAP: {wanted:.4f}' in log.read_text()


def test_collects_over_processes(truth, preds, monkeypatch):
    # What mmengine hands to compute_metrics after gathering two ranks.
    samples = [s.to_dict() for s in to_samples(truth, preds)]
    ranks = [PersonSearchMetric(), PersonSearchMetric()]
    for rank, metric in enumerate(ranks):
        metric.process({}, samples[rank::2])
    zipped = [r for pair in zip(*(m.results for m in ranks)) for r in pair]
    ranks[0].dataset_meta = {'search': truth}
    wanted = evaluate_search(truth, preds)['regular'].mean_ap
    assert ranks[0].compute_metrics(zipped)['mAP'] == pytest.approx(wanted)


def test_frames_and_queries_in_one_sample_each(truth, preds):
    # A namespace without query_instances at all (frames without queries).
    metric = PersonSearchMetric()
    sample = to_samples(truth, preds)[0].to_dict()
    sample.pop('query_instances', None)
    metric.process(SimpleNamespace(), [sample])
    assert metric.results[0]['query_indices'].tolist() == []


def test_one_copy_from_the_device_per_image(truth, preds, monkeypatch):
    samples = to_samples(truth, preds)
    metric = PersonSearchMetric()
    copies = []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor, 'cpu', lambda t: copies.append(t) or cpu(t)
    )
    metric.process(None, [sample.to_dict() for sample in samples])
    assert len(copies) == len(samples)
