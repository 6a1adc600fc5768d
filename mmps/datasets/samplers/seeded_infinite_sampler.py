"""An endless order of samples, each with the seed of its augmentation."""

from collections.abc import Iterator
from itertools import islice

from mmengine.dataset import InfiniteSampler

from mmps.registry import DATA_SAMPLERS
from mmps.utils.seeding import SeededIndex


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(InfiniteSampler):
    """mmengine's ``InfiniteSampler`` whose indices carry seeds.

    The seed follows from the run's seed and the place in the stream that all
    processes share. So neither an interruption nor another number of workers
    or processes changes what a data set of mmps makes of the n-th sample.
    Other data sets take the indices as plain integers.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Shuffle, anew in every round. Defaults to True.
        seed (int, optional): The runner gives its own. Defaults to None, a
            random one.
    """

    def _infinite_indices(self) -> Iterator[int]:
        for place, index in enumerate(super()._infinite_indices()):
            yield SeededIndex(index, (self.seed, place))

    def skip(self, num_samples: int) -> None:
        """Begin anew, behind the first samples of this process.

        Args:
            num_samples: How many, counted from the start of the stream.
        """
        self.indices = islice(self._indices_of_rank(), num_samples, None)
