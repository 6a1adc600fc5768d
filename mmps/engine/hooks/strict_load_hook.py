"""Refusal of checkpoints that do not fit the model."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmps.checkpoints.reading import load_state
from mmps.registry import HOOKS


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Load a checkpoint as the Python interface does, or refuse it.

    mmengine's Runner loads what fits and only logs the rest; the figures of
    such a model mean nothing. ``tools/test.py`` uses this hook in every run.
    """

    # Before EMAHook takes what fits.
    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Load the weights, before mmengine does so once more.

        Args:
            runner: The runner.
            checkpoint: As it was read.

        Raises:
            UsageError: See :func:`~mmps.checkpoints.reading.load_state`.
        """
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        load_state(model, checkpoint, runner._load_from)
