"""Dense heads."""

from .pcnet_head import PCNetHead

__all__ = ['PCNetHead']
