"""Predictions of made-up searches, with scenes."""

from dataclasses import replace

import numpy as np

from mmps.structures import SearchGroundTruth, SearchPredictions


def with_scenes(
    preds: SearchPredictions, truth: SearchGroundTruth, dims: int = 6
) -> SearchPredictions:
    """Add embeddings of frames that know a little of who is in them.

    Args:
        preds: Predictions in the order of the test set.
        truth: Its ground truth.
        dims: S.

    Returns:
        The same with scene embeddings and filters of queries.
    """
    rng = np.random.default_rng(5)
    people = rng.standard_normal((truth.person_ids.max(initial=0) + 1, dims))
    scenes = rng.standard_normal((truth.num_frames, dims))
    known = np.flatnonzero(truth.person_ids >= 0)
    np.add.at(scenes, truth.box_frames[known], people[truth.person_ids[known]])
    wanted = people[truth.query_person_ids]
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    gate = rng.random(wanted.shape)
    shift = np.broadcast_to(0.1 * rng.standard_normal(dims), wanted.shape)
    filters = np.stack((gate, shift, wanted), 1)
    return replace(
        preds,
        scene_embeddings=scenes.astype(np.float32),
        query_scene_filters=filters.astype(np.float32),
    )
