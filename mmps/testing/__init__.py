"""Helpers for tests of your own parts; nothing at run time needs them.

* :func:`demo_search_samples`: random images with people, as a model gets them;
* :func:`tiny_two_stage`, :func:`build` and :func:`training_loss`: a whole
  model in which a head, loss, memory or pooling can be trained in a second;
* :func:`random_ground_truth`, :func:`noisy_predictions` and
  :func:`reorder_frames`: search problems for evaluation and metrics, without
  images and models;
* :class:`DispatchedOperators`: the operators that some code runs, and where
  it would wait for a GPU;
* :data:`HALF_DTYPES`: the half precisions of this torch on a CPU.

Example:
    A loss of your own, in a whole model::

        model = tiny_two_stage(reid_head=dict(loss_reid=dict(type='MyLoss')))
        losses = build(model).loss(*demo_search_samples())
        training_loss(losses).backward()
"""

from .demo_samples import demo_search_samples
from .dispatch import DispatchedOperators
from .half_dtypes import HALF_DTYPES
from .search_problems import (
    noisy_predictions,
    random_ground_truth,
    reorder_frames,
)
from .two_stage import build, tiny_two_stage, training_loss

__all__ = [
    'HALF_DTYPES',
    'DispatchedOperators',
    'build',
    'demo_search_samples',
    'noisy_predictions',
    'random_ground_truth',
    'reorder_frames',
    'tiny_two_stage',
    'training_loss',
]
