"""Parts of heads that have no weights."""

from .prior_generators import (
    DetectronAnchorGenerator,
    TorchvisionAnchorGenerator,
)

__all__ = ['DetectronAnchorGenerator', 'TorchvisionAnchorGenerator']
