"""Orders of training samples that a resumed run continues."""

from .aspect_ratio_batch_sampler import AspectRatioBatchSampler
from .seeded_infinite_sampler import SeededInfiniteSampler

__all__ = ['AspectRatioBatchSampler', 'SeededInfiniteSampler']
