"""The person-search metric of validation and test loops."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmps.evaluation.functional import (
    SearchSettings,
    describe_protocol,
    evaluate_detection,
    format_results,
    metrics_of,
)
from mmps.registry import METRICS
from mmps.structures import (
    SearchGroundTruth,
    SearchPredictions,
    hash_predictions,
    splits_from_counts,
)
from mmps.utils.device import to_host


@METRICS.register_module()
class PersonSearchMetric(BaseMetric):
    """mAP, top-k, detection recall and AP of a person-search test set.

    Keys, all fractions, under the prefix: ``mAP``, ``top-1``, ``top-5``,
    ``top-10`` of the first protocol (of CUHK-SYSU's gallery of 100 where
    the data set has galleries); the same with ``_cross-camera``,
    ``_same-camera``, ``_gallery50``, ``_occlusion``, ... for every further
    one; ``recall``, ``AP``, ``labelled_recall``, ``labelled_AP``.

    Needs ``pred_instances`` with bboxes in pixels of the original image,
    scores and embeddings; ``query_instances`` with query_indices and
    embeddings in frames that hold queries; ``img_id``, the frame's index.
    A gallery filter's ``scene_embedding`` and ``scene_filters`` of
    query_instances are kept where there are some.
    The ground truth is ``dataset.metainfo['search']``.

    After an evaluation ``record`` says, in plain values, how the figures
    came about: ``protocol``, and ``predictions``, a hash of those that were
    stored. It is empty on processes that did not compute them.

    Args:
        det_thr: See :class:`~mmps.evaluation.functional.SearchSettings`, as
            for the next four.
        score_thr: See there; detections with a lower score are dropped
            altogether, so it is at most ``det_thr``.
        protocols: See there.
        gallery_sizes: See there.
        cbgm: See there.
        scene_filter: See there; needs a model with a gallery filter.
        outfile: Where to store the predictions (``.npz``), for the tools
            that evaluate without a model. Defaults to None.
        collect_device: 'cpu' or 'gpu', see BaseMetric.
        prefix: Of the keys. Defaults to None, which is 'person_search'.
        collect_dir: See BaseMetric.

    Attributes:
        settings (SearchSettings): How the predictions are judged.

    Raises:
        ValueError: An option is out of range or unknown.
    """

    default_prefix = 'person_search'

    def __init__(
        self,
        det_thr: float = SearchSettings.det_thr,
        score_thr: float = SearchSettings.score_thr,
        protocols: Sequence[str] = SearchSettings.protocols,
        gallery_sizes: Sequence[int | str] | None = None,
        cbgm: bool | dict = False,
        scene_filter: bool | dict = False,
        outfile: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if not 0 <= score_thr <= det_thr <= 1:
            raise ValueError(
                'PersonSearchMetric: expected 0 <= score_thr <= det_thr <= 1'
                f', got score_thr={score_thr}, det_thr={det_thr}'
            )
        self.settings = SearchSettings(
            det_thr, score_thr, protocols, gallery_sizes, cbgm, scene_filter
        )
        if outfile is not None and not str(outfile).endswith('.npz'):
            raise ValueError(
                f'PersonSearchMetric: outfile is {outfile!r}, expected a '
                'name that ends in .npz'
            )
        self.outfile = outfile
        self.record: dict[str, Any] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep one dict of arrays per image.

        Args:
            data_batch: Not used.
            data_samples: Of the model, as dicts.

        Raises:
            ValueError: A sample lacks a field; the message names it.
        """
        for sample in data_samples:
            pred = sample['pred_instances']
            if 'embeddings' not in pred:
                raise ValueError(
                    'PersonSearchMetric: pred_instances has no embeddings; '
                    'expected the predictions of a person-search model'
                )
            fields = {k: pred[k] for k in ('bboxes', 'scores', 'embeddings')}
            scenes = 'scene_embedding' in sample and self._needs_scenes
            queries = sample.get('query_instances')
            if queries is not None and len(queries['query_indices']):
                if 'embeddings' not in queries:
                    raise ValueError(
                        'PersonSearchMetric: query_instances of img_id '
                        f'{int(sample["img_id"])} has no embeddings'
                    )
                fields['query_indices'] = queries['query_indices']
                fields['query_embeddings'] = queries['embeddings']
                if scenes:
                    fields['query_scene_filters'] = queries['scene_filters']
            if scenes:
                fields['scene_embedding'] = sample['scene_embedding']
            given = dict(zip(fields, to_host(*fields.values())))
            bboxes, scores, embeddings = (
                given.pop(k) for k in ('bboxes', 'scores', 'embeddings')
            )
            keep = scores >= self.settings.score_thr
            # Embeddings are most of the memory; without a file only those
            # that will be searched are needed.
            searched = keep
            if self.outfile is None:
                searched = scores >= self.settings.det_thr
            result = dict(
                img_id=int(sample['img_id']),
                frame_name=sample.get('frame_name'),
                bboxes=bboxes[keep],
                scores=scores[keep],
                searched=searched[keep],
                embeddings=embeddings[searched],
                query_indices=np.empty(0, dtype=np.int64),
            )
            result.update(given)
            self.results.append(result)

    @property
    def _needs_scenes(self) -> bool:
        # They take as much memory as a detection in every frame.
        return self.outfile is not None or bool(self.settings.scene_filter)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Evaluate the whole test set.

        Args:
            results: Of all processes, in any order. Images that a sampler
                repeated to fill up a batch count once.

        Returns:
            The figures by key, without prefix.

        Raises:
            ValueError: The data set is no test set of person search, or
                frames or query embeddings are missing.
        """
        truth = (self.dataset_meta or {}).get('search')
        if not isinstance(truth, SearchGroundTruth):
            raise ValueError(
                "PersonSearchMetric: the data set's metainfo has no 'search'; "
                "expected a data set of mmps with split='test'"
            )
        frames = _by_frame(results, truth)
        preds = _search_predictions(frames, truth)
        if self.outfile is not None:
            preds.save(self.outfile)
        score_thr = self.settings.score_thr
        cbgm = self.settings.matching(truth)
        found = self.settings.evaluate(truth, preds)
        detection = evaluate_detection(
            truth, _detections(frames, truth), score_thr
        )
        table = format_results(found, detection, cbgm)
        MMLogger.get_current_instance().info(f'person search\n{table}')

        self.record = dict(
            protocol=describe_protocol(found, score_thr, cbgm),
            predictions=hash_predictions(preds) if self.outfile else None,
        )
        return metrics_of(found, detection)


def _by_frame(results: list[dict], truth: SearchGroundTruth) -> list[dict]:
    """One result per frame, in the data set's order."""
    by_id = {result['img_id']: result for result in results}
    names = truth.frame_names
    if unknown := sorted(set(by_id) - set(range(len(names)))):
        raise ValueError(
            f'PersonSearchMetric: img_id {unknown[0]} is not one of the '
            f"data set's {len(names)} frames"
        )
    if missing := [n for i, n in enumerate(names) if i not in by_id]:
        raise ValueError(
            f'PersonSearchMetric: {len(missing)} of {len(names)} frames have '
            f'no prediction, the first are {", ".join(missing[:3])}'
        )
    for i, name in enumerate(names):
        if by_id[i]['frame_name'] not in (None, name):
            raise ValueError(
                f'PersonSearchMetric: img_id {i} is {by_id[i]["frame_name"]}'
                f', but {name} in the data set'
            )
    return [by_id[i] for i in range(len(names))]


def _search_predictions(
    frames: list[dict], truth: SearchGroundTruth
) -> SearchPredictions:
    """Stack what is searched, with the queries' embeddings in order."""
    embeddings = np.concatenate([f['embeddings'] for f in frames])
    queries = np.zeros((truth.num_queries, embeddings.shape[1]), np.float32)
    seen = np.zeros(truth.num_queries, dtype=bool)
    for frame in frames:
        if len(frame['query_indices']):
            queries[frame['query_indices']] = frame['query_embeddings']
            seen[frame['query_indices']] = True
    if not seen.all():
        missing = np.flatnonzero(~seen)
        first = ', '.join(
            f'{i} (in {truth.frame_names[truth.query_frames[i]]})'
            for i in missing[:3]
        )
        raise ValueError(
            f'PersonSearchMetric: {len(missing)} of {truth.num_queries} '
            f'queries have no embedding, the first are {first}'
        )
    return _stack(
        truth,
        [frame['bboxes'][frame['searched']] for frame in frames],
        [frame['scores'][frame['searched']] for frame in frames],
        embeddings,
        queries,
        *_scenes(frames, truth),
    )


def _scenes(
    frames: list[dict], truth: SearchGroundTruth
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Embeddings of all frames and filters of all queries, or none."""
    if any('scene_embedding' not in frame for frame in frames):
        return None, None
    scenes = np.stack([frame['scene_embedding'] for frame in frames])
    filters = np.zeros((truth.num_queries, 3, scenes.shape[1]), scenes.dtype)
    for frame in frames:
        if len(frame['query_indices']):
            filters[frame['query_indices']] = frame['query_scene_filters']
    return scenes, filters


def _detections(
    frames: list[dict], truth: SearchGroundTruth
) -> SearchPredictions:
    """Stack all detections, without embeddings."""
    boxes = [frame['bboxes'] for frame in frames]
    return _stack(
        truth,
        boxes,
        [frame['scores'] for frame in frames],
        np.empty((sum(map(len, boxes)), 0), np.float32),
        np.empty((truth.num_queries, 0), np.float32),
    )


def _stack(
    truth: SearchGroundTruth,
    bboxes: list[np.ndarray],
    scores: list[np.ndarray],
    embeddings: np.ndarray,
    query_embeddings: np.ndarray,
    scene_embeddings: np.ndarray | None = None,
    query_scene_filters: np.ndarray | None = None,
) -> SearchPredictions:
    return SearchPredictions(
        truth.frame_names,
        splits_from_counts([len(frame) for frame in bboxes]),
        np.concatenate(bboxes),
        np.concatenate(scores),
        embeddings,
        query_embeddings,
        scene_embeddings,
        query_scene_filters,
    )
