"""Convolutions in the memory order that CPUs and tensor cores like."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmps.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the model's 4-d weights, and so its maps, in channels-last order.

    Results stay the same but for rounding, and so does the state dict. A
    ResNet-18 PCNet under bfloat16 trains about a sixth faster on a CPU.
    """

    def before_run(self, runner: Runner) -> None:
        """Reorder the weights, before training, validation or testing."""
        runner.model.to(memory_format=torch.channels_last)
