"""Weights and maps in channels-last memory order."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmps.registry import HOOKS

from ..preparation import channels_last


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the model's 4-d weights, and so its maps, in channels-last order.

    Results stay the same but for rounding, and so does the state dict. PCNet
    gains a seventh on a CPU, a fifth in training; docs/deploy.md has more.
    """

    def before_run(self, runner: Runner) -> None:
        """Reorder the weights, before training, validation or testing."""
        channels_last(runner.model)
