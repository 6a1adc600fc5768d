"""How likely a person is to be in a scene, from embeddings alone."""

import numpy as np


def scene_scores(filters: np.ndarray, scenes: np.ndarray) -> np.ndarray:
    """Compare queries with scenes, as a gallery filter does (GFN).

    ``sigmoid(cos(gate * scene + shift, direction))`` of every query and
    scene, by matrix products: no array of queries x scenes x values is made.

    >>> import numpy as np
    >>> from mmps.structures import scene_scores
    >>> gate, shift, direction = [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]
    >>> scenes = np.array([[0.6, 0.8], [-0.6, 0.8]])
    >>> scene_scores(np.array([[gate, shift, direction]]), scenes).round(3)
    array([[0.731, 0.269]])

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search",
    WACV 2023, section 3.3.

    Args:
        filters: (Q, 3, D) of the queries: gate, shift and direction of each,
            as :meth:`GalleryFilter.filters` gives them.
        scenes: (F, D) embeddings of the scenes.

    Returns:
        (Q, F) float64, 0 to 1.

    Raises:
        ValueError: The shapes do not fit.
    """
    if filters.ndim != 3 or scenes.ndim != 2:
        raise ValueError(
            f'scene_scores: expected filters of shape (Q, 3, D) and scenes '
            f'(F, D), got {filters.shape} and {scenes.shape}'
        )
    if filters.shape[1:] != (3, scenes.shape[1]):
        raise ValueError(
            f'scene_scores: filters of shape {filters.shape} do not fit '
            f'scenes of {scenes.shape[1]} values'
        )
    gate, shift, direction = filters.astype(np.float64).swapaxes(0, 1)
    scenes = scenes.astype(np.float64).T
    product = (gate * direction) @ scenes
    product += (shift * direction).sum(1)[:, None]
    square = gate**2 @ scenes**2 + (2 * gate * shift) @ scenes
    square += (shift**2).sum(1)[:, None]
    length = np.sqrt(np.maximum(square, 0))
    length *= np.linalg.norm(direction, axis=1)[:, None]
    cosine = product / np.maximum(length, 1e-12)
    return 1 / (1 + np.exp(-np.clip(cosine, -1, 1)))
