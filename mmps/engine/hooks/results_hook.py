"""Result file of a test run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmps.checkpoints.reading import hash_weights, weights_of
from mmps.evaluation import PersonSearchMetric
from mmps.registry import HOOKS
from mmps.results.result_file import NAME, write_results
from mmps.results.result_record import result_record
from mmps.results.versions import device_name


@HOOKS.register_module()
class ResultsHook(Hook):
    """Write ``WORK_DIR/TIMESTAMP/results.json`` after a test.

    ``tools/test.py`` uses it in every run. The file holds the figures and
    everything they depend on, but neither time nor place of the run: the same
    test gives the same bytes, in one process or in several.
    ``tools/analysis_tools/compare_results.py`` compares two files.
    """

    # Sees the weights that were tested, before EMAHook takes them out again.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._meta: Mapping[str, Any] = {}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's record of its training."""
        self._meta = checkpoint.get('meta') or {}

    @master_only
    def after_test_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Write the file."""
        found = [
            metric.record
            for metric in runner.test_loop.evaluator.metrics
            if isinstance(metric, PersonSearchMetric)
        ]
        record = found[0] if found else {}
        randomness = runner.cfg.get('randomness') or {}
        results = result_record(
            runner.cfg,
            runner.test_loop.dataloader.dataset,
            metrics or {},
            record.get('protocol'),
            weights=dict(
                sha256=hash_weights(weights_of(runner.model.state_dict())),
                iter=self._meta.get('iter'),
            ),
            predictions=record.get('predictions'),
            seed=dict(
                training=self._meta.get('seed'), test=randomness.get('seed')
            ),
            device=device_name(next(runner.model.parameters()).device),
        )
        path = Path(runner.log_dir, NAME)
        write_results(path, results)
        runner.logger.info(f'figures and how they came about: {path}')
