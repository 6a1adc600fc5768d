"""Compiled backbone and neck in testing."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmps.registry import HOOKS

from ..preparation import compile_body


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile the detector's backbone and neck before testing.

    The first picture takes from some seconds to a minute, and so does the
    first of another size; sizes after that share one program. Results stay
    the same but for rounding, and so does the state dict. docs/deploy.md has
    the gains.

    Training, heads and whole steps are left alone: on a CPU they gain
    nothing, and steps have parts that cannot be compiled (NMS) or are
    compiled anew for every number of people.
    """

    def before_test(self, runner: Runner) -> None:
        """Compile, with the checkpoint loaded."""
        compile_body(runner.model)
