"""Checkpoints that neither a crash nor a full disk can destroy."""

import os
from pathlib import Path
from typing import Any

from mmengine import hooks
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import Runner

from mmps.registry import HOOKS
from mmps.utils.errors import UsageError
from mmps.utils.files import TEMPORARY, write_whole

_BACKEND = 'mmps.whole_files'
_OUTDATED = 'outdated_ckpts'


@register_backend(_BACKEND)
class WholeFileBackend(LocalBackend):
    """Local files that appear under their name only when they are whole."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write a file; see :func:`~mmps.utils.files.write_whole`."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_whole(filepath, lambda file: file.write(obj))


class _LateRemoval:
    """A file backend that delays removals."""

    def __init__(self, backend: Any, runner: Runner) -> None:
        self._backend = backend
        self._runner = runner
        self._outdated: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._note([*self._outdated, str(path)])

    rmtree = remove

    def forget(self) -> None:
        self._note([])

    def remove_now(self) -> None:
        for path in self._outdated if is_main_process() else ():
            if self._backend.isdir(path):
                self._backend.rmtree(path)
            elif self._backend.isfile(path):
                self._backend.remove(path)
        self.forget()

    def _note(self, outdated: list[str]) -> None:
        self._outdated = outdated
        # Goes into the checkpoint that replaces them: a run killed before
        # it could remove them does so when it is resumed.
        self._runner.message_hub.update_info(_OUTDATED, outdated)


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """mmengine's hook; there is a whole checkpoint at every moment.

    - A file is written beside its target, forced to the disk and renamed.
    - Outdated checkpoints are removed after the new one is in place.
    - If it cannot be written (full disk), older ones stay, the log says so
      and training goes on to the next; that the last one of a training
      cannot be written is an error.
    - A resumed run finds its checkpoints though the folder was moved.

    Args:
        args, kwargs: As for mmengine's ``CheckpointHook``. The above on
            writing is for local folders; ``backend_args`` of other storage
            are passed on.

    Raises:
        UsageError: In training, the last checkpoint cannot be written.
    """

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder; finish what a killed run has left."""
        given = (self.backend_args, self.file_client_args)
        folder = str(self.out_dir or runner.work_dir)
        if given == (None, None) and '://' not in folder:
            self.backend_args = dict(backend=_BACKEND)
        super().before_train(runner)
        info = runner.message_hub.runtime_info
        left = [self._here(path) for path in info.get(_OUTDATED, ())]
        if info.get('last_ckpt'):
            self.last_ckpt = self._here(info['last_ckpt'])
        if getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = self._here(self.best_ckpt_path)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = path and self._here(path)
        self.file_backend = _LateRemoval(self.file_backend, runner)
        for path in left:
            self.file_backend.remove(path)
        self.file_backend.remove_now()
        if is_main_process() and os.path.isdir(self.out_dir):
            for file in Path(self.out_dir).glob(f'*.pth{TEMPORARY}'):
                file.unlink()

    def _here(self, path: str) -> str:
        return self.file_backend.join_path(
            self.out_dir, os.path.basename(path)
        )

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict
    ) -> None:
        kept = list(getattr(self, 'keep_ckpt_ids', ()))
        last = self.last_ckpt
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        except OSError as err:
            self.file_backend.forget()
            self.last_ckpt = last
            if self.max_keep_ckpts > 0:
                self.keep_ckpt_ids.clear()
                self.keep_ckpt_ids.extend(kept)
                runner.message_hub.update_info('keep_ckpt_ids', kept)
            self._report(runner, err)
        else:
            self.file_backend.remove_now()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        info = runner.message_hub.runtime_info
        before = {k: v for k, v in info.items() if k.startswith('best_')}
        paths = dict(getattr(self, 'best_ckpt_path_dict', {}))
        path = getattr(self, 'best_ckpt_path', None)
        try:
            super()._save_best_checkpoint(runner, metrics)
        except OSError as err:
            self.file_backend.forget()
            for key in [k for k in info if k.startswith('best_')]:
                del info[key]
            info.update(before)
            if hasattr(self, 'best_ckpt_path_dict'):
                self.best_ckpt_path_dict = paths
            else:
                self.best_ckpt_path = path
            self._report(runner, err)
        else:
            self.file_backend.remove_now()

    def _report(self, runner: Runner, err: OSError) -> None:
        text = f'the checkpoint could not be written: {err}'
        if runner.iter + 1 >= runner.max_iters:
            raise UsageError(text) from err
        runner.logger.error(
            f'{text}; earlier ones are untouched, training goes on and '
            'tries again at the next one'
        )
