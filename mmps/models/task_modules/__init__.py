"""Parts of heads that have no weights."""

from .prior_generators import TorchvisionAnchorGenerator

__all__ = ['TorchvisionAnchorGenerator']
