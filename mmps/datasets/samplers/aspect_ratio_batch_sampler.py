"""Batches of one orientation, which a resumed run continues at once."""

from collections.abc import Iterator
from itertools import islice

from mmdet.datasets import samplers

from mmps.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class AspectRatioBatchSampler(samplers.AspectRatioBatchSampler):
    """mmdet's sampler, with batches that need not be loaded to be skipped.

    A batch is of wide or of high images. How many samples went into the
    first n batches depends on their order, so mmengine cannot skip them
    by counting samples: it would load and drop them.

    Args:
        sampler: Gives indices; its data set knows the sizes.
        batch_size (int): Images of a batch.
        drop_last (bool): Leave out the last, smaller batches of a finite
            sampler. Defaults to False.
    """

    _skipped = 0

    def skip_batches(self, count: int) -> None:
        """Leave out the first batches.

        Args:
            count: How many, counted from the start of the stream; the
                sampler has to have ``skip``.
        """
        # From the start, whatever an earlier iterator has taken.
        super().__init__(self.sampler, self.batch_size, self.drop_last)
        self.sampler.skip(0)
        self._skipped = count

    def __iter__(self) -> Iterator[list[int]]:
        """Give lists of indices."""
        return islice(super().__iter__(), self._skipped, None)
