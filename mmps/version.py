"""The version of mmps."""

__version__ = '0.1.0'
