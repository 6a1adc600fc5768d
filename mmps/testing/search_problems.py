"""Made-up search problems: ground truth, galleries, noisy predictions.

For tests and benchmarks of the evaluation, which need neither images nor a
model. Everything follows from the seed.
"""

import numpy as np

from mmps.structures import (
    SearchGroundTruth,
    SearchPredictions,
    frame_of_rows,
    ranges,
    splits_from_counts,
)


def random_ground_truth(
    num_frames: int = 40,
    num_ids: int = 6,
    num_cameras: int = 3,
    num_queries: int = 10,
    people_per_frame: float = 4.0,
    labelled: float = 0.7,
    frame_size: tuple[int, int] = (1920, 1080),
    seed: int = 0,
) -> SearchGroundTruth:
    """Draw frames with people, some of them without an id, and queries.

    No person occurs twice in a frame; queries are labelled people.

    Args:
        num_frames: F.
        num_ids: Labelled identities.
        num_cameras: Cameras, in turn over the frames.
        num_queries: Q, at most the number of labelled boxes.
        people_per_frame: Mean of the Poisson number of people.
        labelled: Share of people with an id.
        frame_size: Width and height in pixels.
        seed: Of the random numbers.

    Returns:
        Ground truth without explicit galleries.

    Raises:
        ValueError: There are fewer labelled boxes than queries.
    """
    rng = np.random.default_rng(seed)
    counts = rng.poisson(people_per_frame, num_frames)
    frame_splits = splits_from_counts(counts)
    frames = frame_of_rows(frame_splits)
    num = len(frames)
    person_ids = rng.integers(0, num_ids, num)
    person_ids[rng.random(num) >= labelled] = -1
    # A second mention of a person in a frame becomes a stranger.
    _, first = np.unique(
        frames * (num_ids + 1) + person_ids, return_index=True
    )
    seen = np.zeros(num, dtype=bool)
    seen[first] = True
    person_ids[~seen] = -1
    height = rng.uniform(0.05, 0.4, num) * frame_size[1]
    sides = np.stack([height / rng.uniform(2, 3, num), height], axis=1)
    corners = rng.random((num, 2)) * (np.array(frame_size) - sides)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    known = np.flatnonzero(person_ids >= 0)
    if len(known) < num_queries:
        raise ValueError(
            f'num_queries: {num_queries} asked for, but only {len(known)} '
            'boxes are labelled'
        )
    queries = np.sort(rng.choice(known, num_queries, replace=False))
    return SearchGroundTruth(
        frame_names=[f'frame_{i:06d}.jpg' for i in range(num_frames)],
        camera_ids=np.arange(num_frames) % num_cameras,
        bboxes=boxes.astype(np.float32),
        person_ids=person_ids,
        frame_splits=frame_splits,
        query_bboxes=boxes[queries].astype(np.float32),
        query_person_ids=person_ids[queries],
        query_frames=frames[queries],
    )


def noisy_predictions(
    truth: SearchGroundTruth,
    embed_dims: int = 32,
    found: float = 0.95,
    false_per_frame: float = 1.0,
    box_noise: float = 0.05,
    embedding_noise: float = 1.0,
    dtype: type = np.float32,
    seed: int = 0,
) -> SearchPredictions:
    """Predict what a detector with errors might.

    Every annotated person is found with some probability, box and score
    disturbed; false detections lie anywhere. Embeddings are unit vectors
    around one direction per identity, and around a third of a camera's.

    Args:
        truth: Ground truth of the test set.
        embed_dims: D.
        found: Probability that a person is detected.
        false_per_frame: Mean of the Poisson number of false detections.
        box_noise: Standard deviation of a corner, in box sides.
        embedding_noise: Length of the noise beside a unit direction.
        dtype: Of the embeddings.
        seed: Of the random numbers.

    Returns:
        Predictions in the ground truth's frame order, by falling score
        within a frame.
    """
    rng = np.random.default_rng(seed)
    hit = np.flatnonzero(rng.random(len(truth.bboxes)) < found)
    false = rng.poisson(false_per_frame, truth.num_frames)
    sources = np.concatenate([hit, np.full(false.sum(), -1)])
    frames = np.concatenate(
        [truth.box_frames[hit], np.repeat(np.arange(truth.num_frames), false)]
    )
    wrong = sources < 0
    num = len(sources)

    pool = truth.bboxes
    if not len(pool):
        pool = np.array([[0, 0, 20, 50]], dtype=np.float32)
    boxes = pool[np.where(wrong, rng.integers(0, len(pool), num), sources)]
    sides = boxes[:, 2:] - boxes[:, :2]
    noise = rng.standard_normal((num, 4)) * box_noise
    boxes = boxes + noise * np.tile(sides, 2)
    scores = np.where(
        wrong, rng.beta(2, 3, num), 0.3 + 0.7 * rng.beta(6, 1.5, num)
    )

    known = np.concatenate([truth.person_ids, truth.query_person_ids, [0]])
    num_ids = int(known.max()) + 1
    directions = _unit(rng.standard_normal((num_ids, embed_dims)))
    cameras = truth.camera_ids - truth.camera_ids.min(initial=0)
    shifts = _unit(
        rng.standard_normal((int(cameras.max(initial=0)) + 1, embed_dims))
    )

    def embed(people: np.ndarray, cams: np.ndarray) -> np.ndarray:
        own = _unit(rng.standard_normal((len(people), embed_dims)))
        own = np.where(people[:, None] >= 0, directions[people], own)
        noise = rng.standard_normal((len(people), embed_dims))
        noise *= embedding_noise / np.sqrt(embed_dims)
        return _unit(own + noise + shifts[cams] / 3).astype(dtype)

    people = np.full(num, -1)
    people[~wrong] = truth.person_ids[sources[~wrong]]
    embeddings = embed(people, cameras[frames])
    query_embeddings = embed(
        truth.query_person_ids, cameras[truth.query_frames]
    )
    order = np.lexsort((-scores, frames))
    counts = np.bincount(frames, minlength=truth.num_frames)
    return SearchPredictions(
        frame_names=list(truth.frame_names),
        frame_splits=splits_from_counts(counts),
        bboxes=boxes[order].astype(np.float32),
        scores=scores[order].astype(np.float32),
        embeddings=embeddings[order],
        query_embeddings=query_embeddings,
    )


def reorder_frames(
    preds: SearchPredictions, order: np.ndarray
) -> SearchPredictions:
    """Store the frames of predictions in another order.

    Args:
        preds: Predictions.
        order: (F,) permutation, the old index of each new frame.

    Returns:
        The same predictions in that order.
    """
    counts = np.diff(preds.frame_splits)[order]
    rows = ranges(preds.frame_splits[order], counts)
    return SearchPredictions(
        [preds.frame_names[i] for i in order],
        splits_from_counts(counts),
        preds.bboxes[rows],
        preds.scores[rows],
        preds.embeddings[rows],
        preds.query_embeddings,
        preds.scene_embeddings[order] if preds.has_scenes else None,
        preds.query_scene_filters,
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
