"""Detection of a loss that is not finite, before it changes the model."""

from collections.abc import Sequence
from typing import Any, Literal

from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmps.models.memories import IdentityMemory, SceneMemory
from mmps.registry import HOOKS

_SKIPPED = 'skipped_steps'
_ADVICE = (
    'lower the learning rate, clip gradients (optim_wrapper.clip_grad), '
    'look at the images, or leave such steps out with FiniteLossHook('
    "on_nonfinite='skip')"
)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Check the loss before the optimizer and the memories are changed.

    mmengine's ``CheckInvalidLossHook`` checks after the step, when weights and
    identity memories are already corrupted. Here a step whose loss is not
    finite on any process changes nothing: no gradient, no optimizer step, no
    entry in a memory. Weights that are not finite are not saved either.

    Args:
        on_nonfinite: ``'stop'`` raises, and names the loss terms and the
            images of the batch; ``'skip'`` warns, counts and goes on.
            Defaults to 'stop'.
        max_skipped: With 'skip', how many steps of a run may be left out
            before it stops after all. Defaults to 10.

    Raises:
        FloatingPointError: In training, with 'stop' or after too many skips.
        ValueError: An option is out of range, or a run has two such hooks.
    """

    # Looks at a checkpoint before other hooks change it (EMAHook swaps).
    priority = 'VERY_HIGH'

    def __init__(
        self,
        on_nonfinite: Literal['stop', 'skip'] = 'stop',
        max_skipped: int = 10,
    ) -> None:
        if on_nonfinite not in ('stop', 'skip'):
            raise ValueError(
                "FiniteLossHook: on_nonfinite must be 'stop' or 'skip', got "
                f'{on_nonfinite!r}'
            )
        if max_skipped < 0:
            raise ValueError(
                f'FiniteLossHook: max_skipped must be 0 or more, got '
                f'{max_skipped}'
            )
        self.on_nonfinite = on_nonfinite
        self.max_skipped = max_skipped
        self._finite = True
        self._batch: Any = None

    def before_train(self, runner: Runner) -> None:
        """Put the check between the losses and what they change."""
        if sum(isinstance(hook, FiniteLossHook) for hook in runner.hooks) > 1:
            raise ValueError(
                'FiniteLossHook: the run has two; change the options of the '
                'one that custom_hooks has already'
            )
        self._runner = runner
        self._model = runner.model
        if is_model_wrapper(self._model):
            self._model = self._model.module
        self._memories = [
            module
            for module in self._model.modules()
            if isinstance(module, (IdentityMemory, SceneMemory))
        ]
        for memory in self._memories:
            memory.deferred = True
        self._parse_losses = self._model.parse_losses
        self._model.parse_losses = self._checked_losses
        self._update_params = runner.optim_wrapper.update_params
        runner.optim_wrapper.update_params = self._update_if_finite

    def after_train(self, runner: Runner) -> None:
        """Leave model and optimizer as they were."""
        for memory in self._memories:
            memory.deferred = False
        del self._model.parse_losses
        del runner.optim_wrapper.update_params

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep the batch, to name its images."""
        self._batch = data_batch

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite."""
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise FloatingPointError(
                    f'iteration {runner.iter + 1}: {name} is not finite, no '
                    'checkpoint was written; go on from the last one with '
                    f'other settings ({_ADVICE})'
                )

    def _checked_losses(
        self, losses: dict[str, Tensor | Sequence[Tensor]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss, terms = self._parse_losses(losses)
        finite = loss.detach().isfinite().float()
        all_reduce(finite, 'min')
        self._finite = bool(finite)
        if self._finite:
            for memory in self._memories:
                memory.commit()
            return loss, terms
        for memory in self._memories:
            memory.discard()
        bad = [k for k, v in terms.items() if not v.isfinite().all()]
        self._report([k for k in bad if k != 'loss'])
        return loss, {k: v for k, v in terms.items() if k not in bad}

    def _update_if_finite(self, *args, **kwargs) -> None:
        if self._finite:
            self._update_params(*args, **kwargs)

    def _report(self, terms: list[str]) -> None:
        text = f'iteration {self._runner.iter + 1}: '
        if terms:
            text += f'{", ".join(terms)} not finite{self._images()}'
        else:
            text += 'a loss of another process is not finite'
        if self.on_nonfinite == 'stop':
            raise FloatingPointError(
                f'{text}. Weights and memories are those of the step before. '
                f'What helps: {_ADVICE}'
            )
        hub = self._runner.message_hub
        count = hub.runtime_info.get(_SKIPPED, 0) + 1
        if count > self.max_skipped:
            raise FloatingPointError(
                f'{text}; {count - 1} steps were left out before, and '
                f'FiniteLossHook has max_skipped={self.max_skipped}'
            )
        hub.update_info(_SKIPPED, count)
        self._runner.logger.warning(
            f'{text}: step left out, {count} of at most {self.max_skipped}'
        )

    def _images(self) -> str:
        samples = (
            self._batch.get('data_samples', ())
            if isinstance(self._batch, dict)
            else ()
        )
        names = [
            str(sample.img_path)
            for sample in samples
            if getattr(sample, 'img_path', None)
        ]
        return f' for {", ".join(names)}' if names else ''
