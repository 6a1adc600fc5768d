"""What several kinds of heads share."""

from .input_boxes import boxes_in_input
from .precision import not_bfloat16

__all__ = ['boxes_in_input', 'not_bfloat16']
