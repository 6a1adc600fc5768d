"""Dense heads."""

from .alignps_head import AlignPSHead
from .dense_prediction import DensePredictionMixin
from .pcnet_head import PCNetHead
from .pstr_head import PSTRHead
from .search_rpn_head import SearchRPNHead

__all__ = [
    'AlignPSHead',
    'DensePredictionMixin',
    'PCNetHead',
    'PSTRHead',
    'SearchRPNHead',
]
