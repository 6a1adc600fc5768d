"""Generic utilities, which know nothing of the parts of mmps."""

from mmps.utils.errors import UsageError
from mmps.utils.part_imports import register_all_modules

__all__ = ['UsageError', 'register_all_modules']
