"""Helpers that several kinds of heads share."""

from .indices import true_indices
from .input_boxes import boxes_in_input, to_original_size
from .processes import gather_samples, samples_per_process
from .roi_align import for_roi_align, run_roi_align

__all__ = [
    'boxes_in_input',
    'for_roi_align',
    'gather_samples',
    'run_roi_align',
    'samples_per_process',
    'to_original_size',
    'true_indices',
]
