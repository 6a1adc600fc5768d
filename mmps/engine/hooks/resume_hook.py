"""Equality of a resumed run with an uninterrupted one."""

from itertools import chain, repeat

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmps.registry import HOOKS
from mmps.utils.seeding import seed_generators

_VALIDATED = 'iter_of_last_validation'


@HOOKS.register_module()
class ResumeHook(Hook):
    """Seed every step, and make up for an interrupted validation.

    - Before every training step all generators are seeded with the run's
      seed, the process's rank and the step, so that the random numbers of a
      step do not depend on the steps before it. For the samples
      :class:`~mmps.datasets.SeededInfiniteSampler` does the same.
    - A checkpoint is written before the validation that is due at the same
      step. If that validation was not finished, it is done on resuming.
    - Batches of :class:`~mmps.datasets.AspectRatioBatchSampler`, and with
      OpenMMLab's mmengine those of
      :class:`~mmps.datasets.SeededInfiniteSampler`, are skipped without being
      loaded.
    """

    # Seeds before any other hook draws, notes before a checkpoint is saved.
    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None
    ) -> None:
        """Seed the step."""
        seed_generators(runner.seed, get_rank(), runner.iter)

    def after_val_epoch(
        self, runner: Runner, metrics: dict | None = None
    ) -> None:
        """Note where the last validation was."""
        runner.message_hub.update_info(_VALIDATED, runner.iter)

    def before_train_epoch(self, runner: Runner) -> None:
        """Go on where a checkpoint was saved."""
        loop = runner.train_loop
        if not isinstance(loop, IterBasedTrainLoop) or loop.iter == 0:
            return
        _skip_batches(loop)
        if self._validation_due(runner, loop):
            runner.logger.info(
                f'validating iteration {loop.iter}: the run was interrupted '
                'before or while it did'
            )
            runner.val_loop.run()

    @staticmethod
    def _validation_due(runner: Runner, loop: IterBasedTrainLoop) -> bool:
        if runner.val_loop is None or loop.iter < loop.val_begin:
            return False
        if runner.message_hub.runtime_info.get(_VALIDATED) == loop.iter:
            return False
        loop._decide_current_val_interval()
        return loop.iter % loop.val_interval == 0 or (
            loop.iter == loop.max_iters
        )


def _skip_batches(loop: IterBasedTrainLoop) -> None:
    """Leave out what the loop would load and drop."""
    batches = loop.dataloader.batch_sampler
    iterator = loop.dataloader_iterator
    knows = hasattr(iterator, 'skip_iter')  # the forks' mmengine
    if not hasattr(getattr(batches, 'sampler', None), 'skip'):
        return
    if hasattr(batches, 'skip_batches'):
        batches.skip_batches(loop.iter)
    elif knows:
        return
    else:
        batches.sampler.skip(loop.iter * batches.batch_size)
    if knows:
        iterator.skip_iter = _done_already
    else:
        # This iterator has already fetched batches that were trained on.
        fresh = type(iterator)(loop.dataloader)
        loop.dataloader_iterator = chain(repeat(None, loop.iter), fresh)


def _done_already(num_iters: int) -> None:
    """Stand in for the loop's own skipping."""
