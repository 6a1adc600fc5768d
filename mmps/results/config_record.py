"""The part of a config that figures depend on, and its hash."""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

# Everything else of the top level is left out: where and how a run is carried
# out, validated, logged and saved; its seed, which is recorded apart; and
# names that only the config file itself uses.
SECTIONS = (
    'default_scope',
    'model',
    'data_preprocessor',
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'custom_hooks',
    'env_cfg',
    'test_dataloader',
    'test_cfg',
    'test_evaluator',
)
# Left out wherever they stand.
RUN_ONLY = frozenset(
    (
        *('data_root', 'backend_args', 'file_client_args'),
        *('num_workers', 'persistent_workers', 'prefetch_factor'),
        *('pin_memory', 'timeout', 'check_images'),
        *('outfile', 'collect_device', 'collect_dir'),
        *('mp_cfg', 'dist_cfg', 'val_interval', 'val_begin'),
    )
)
_ADDRESS = re.compile(r' at 0x[0-9a-fA-F]+')


def config_record(cfg: Config) -> dict[str, Any]:
    """Reduce a resolved config to what figures depend on.

    Args:
        cfg: A full config or one of ``configs/_base_/datasets``.

    Returns:
        ``name`` of the file; ``sha256`` of the rest, the same for any order
        of keys; ``content``, the rest as plain values: :data:`SECTIONS`
        without :data:`RUN_ONLY` keys, in alphabetical order.
    """
    kept = {key: plain_values(cfg.get(key)) for key in SECTIONS}
    kept = {key: value for key, value in kept.items() if value is not None}
    text = json.dumps(kept, sort_keys=True, allow_nan=False)
    name = os.path.basename(cfg.filename) if cfg.filename else None
    digest = hashlib.sha256(text.encode()).hexdigest()
    return dict(name=name, sha256=digest, content=json.loads(text))


def inference_record(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model at test time, out of a config's content.

    Args:
        content: Of :func:`config_record`.

    Returns:
        ``test_cfg`` of the model (score thresholds, NMS, confidence
        weighting), its ``data_preprocessor``, the test ``pipeline`` (input
        size), ``batch_size`` and ``fp16``; None where the config does not
        say.
    """
    model = content.get('model') or {}
    loader = content.get('test_dataloader') or {}
    dataset = loader.get('dataset') or {}
    while isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return dict(
        test_cfg=model.get('test_cfg'),
        data_preprocessor=model.get('data_preprocessor'),
        pipeline=dataset.get('pipeline'),
        batch_size=loader.get('batch_size'),
        fp16=bool((content.get('test_cfg') or {}).get('fp16', False)),
    )


def plain_values(value: Any) -> Any:
    """Turn a config's value into what JSON can hold, without addresses.

    Run-only keys are left out of dicts; tuples become lists, classes and
    functions their full names.
    """
    if isinstance(value, Mapping):
        return {
            str(key): plain_values(item)
            for key, item in value.items()
            if key not in RUN_ONLY
        }
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, 'tolist'):
        return plain_values(value.tolist())
    if hasattr(value, '__qualname__'):
        return f'{value.__module__}.{value.__qualname__}'
    return _ADDRESS.sub('', str(value))
