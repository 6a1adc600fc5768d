"""Utilities of mmps that know nothing of its parts."""

from mmps.utils.errors import UsageError
from mmps.utils.setup_env import register_all_modules

__all__ = ['UsageError', 'register_all_modules']
