"""What several kinds of heads share."""

from .indices import true_indices
from .input_boxes import boxes_in_input
from .precision import for_roi_align, roi_align
from .processes import gather_samples, samples_per_process

__all__ = [
    'boxes_in_input',
    'for_roi_align',
    'gather_samples',
    'roi_align',
    'samples_per_process',
    'true_indices',
]
