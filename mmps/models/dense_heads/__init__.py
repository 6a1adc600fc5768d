"""Dense heads."""

from .pcnet_head import PCNetHead
from .search_rpn_head import SearchRPNHead

__all__ = ['SearchRPNHead', 'PCNetHead']
