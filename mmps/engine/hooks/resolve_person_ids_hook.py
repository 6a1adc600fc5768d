"""Sizes and identities of the model's memories, from the training data."""

from mmengine.dist import is_distributed
from mmengine.hooks import Hook, SyncBuffersHook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from mmps.models.memories import IdentityMemory
from mmps.registry import HOOKS


@HOOKS.register_module()
class ResolvePersonIdsHook(Hook):
    """Resolve every :class:`IdentityMemory` from the training data set.

    Before training, and before a checkpoint is loaded, it hands the data
    set's ``metainfo['raw_person_ids']`` to the memories, so that
    ``num_ids='auto'`` needs no number in the config and a checkpoint of
    other identities is refused. Validation and testing need no data set of
    the training ids: there the checkpoint gives the sizes.

    It also refuses mmengine's ``SyncBuffersHook``, which would average the
    memories of several processes; they are equal on all of them anyway.
    """

    # Before hooks that copy the model (EMAHook) or look at its state.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Resolve the memories of a run that trains.

        Args:
            runner: The runner; nothing is done unless it trains and its
                model holds a memory.

        Raises:
            ValueError: The training data set has no ``raw_person_ids``, its
                ids do not fit the memory, or ``SyncBuffersHook`` is on.
        """
        # The property would build the loop, and with it the training data.
        loop = runner._train_loop
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        memories = [
            m for m in model.modules() if isinstance(m, IdentityMemory)
        ]
        if not isinstance(loop, BaseLoop) or not memories:
            return
        if is_distributed() and any(
            isinstance(hook, SyncBuffersHook) for hook in runner.hooks
        ):
            raise ValueError(
                'ResolvePersonIdsHook: remove SyncBuffersHook, it averages '
                'the buffers of identity memories over the processes'
            )
        dataset = loop.dataloader.dataset
        metainfo = getattr(dataset, 'metainfo', {})
        if 'raw_person_ids' not in metainfo:
            raise ValueError(
                f'ResolvePersonIdsHook: the training data set '
                f"{type(dataset).__name__} has no metainfo['raw_person_ids']"
                ' (the raw id of every contiguous person id); use a data set '
                'of mmps or provide this table'
            )
        for memory in memories:
            memory.resolve(metainfo['raw_person_ids'])
