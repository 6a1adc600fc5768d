"""Check of the keys given to ``--cfg-options`` before they are merged.

mmengine creates whatever key it does not find, so that a typing error trains
the unchanged model. Here a key must be in the config already, or be an
argument of the class that the surrounding dict builds.
"""

import difflib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import mmengine.registry as registries
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
    set_random_seed,
)
from mmengine.utils.dl_utils import set_multi_processing
from torch.distributed import init_process_group
from torch.utils.data import DataLoader

from mmps.utils.errors import UsageError
from mmps.utils.part_imports import quiet_imports

# Removed from a dict by mmengine before the class is called with the rest.
_BUILD_KEYS = {
    *('type', '_scope_', '_delete_', 'priority', 'by_epoch'),
    *('convert_to_iter_based', 'constructor', 'paramwise_cfg'),
}
_LOADER_KEYS = {
    *('dataset', 'sampler', 'batch_sampler', 'collate_fn'),
    *('num_batch_per_epoch', 'disable_subprocess_warning'),
}


def check_cfg_options(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Refuse keys that nothing would read.

    Args:
        cfg: The config the options will be merged into; not changed.
        options: Dotted key to value. A leading ``+`` adds a key that is
            not there without a check.

    Returns:
        dict: The options without the ``+``, ready for
        ``Config.merge_from_dict``.

    Raises:
        UsageError: A key is neither in the config nor an argument of the
            class it belongs to, or leads through a value that is no dict.
    """
    plain = {key.removeprefix('+'): val for key, val in options.items()}
    for key in options:
        if not key.startswith('+'):
            _check_key(cfg, key, plain)
    for key in plain:
        _check_parents(key, plain)
    return plain


def _check_parents(key: str, options: dict[str, Any]) -> None:
    """Refuse an option below another one's value that has no keys."""
    parts = key.split('.')
    for i in range(1, len(parts)):
        parent = '.'.join(parts[:i])
        value = options.get(parent, {})
        if not isinstance(value, (dict, list, tuple)):
            raise UsageError(
                f'--cfg-options {key}: {parent} is set to {value!r:.60}, '
                'which has no keys'
            )


def _check_key(cfg: Config, key: str, options: dict[str, Any]) -> None:
    """Walk down ``key`` as far as the config goes."""
    node: Any = cfg._cfg_dict
    scope = cfg.get('default_scope') or 'mmengine'
    path = ''
    for part in key.split('.'):
        where = f'--cfg-options {key}: '
        if isinstance(node, (list, tuple)):
            if not (part.isdigit() and int(part) < len(node)):
                raise UsageError(
                    f'{where}{path} is a list of {len(node)}, expected an '
                    f'index below that, got {part!r}'
                )
            node = node[int(part)]
        elif isinstance(node, dict):
            scope = node.get('_scope_', scope)
            if part not in node:
                known = _known_keys(node, path, scope, options)
                if known is not None and part not in known:
                    raise UsageError(where + _unknown(part, path, known))
                return
            node = node[part]
        else:
            raise UsageError(f'{where}{path} is {node!r} and has no keys')
        path = f'{path}.{part}' if path else part
    if key in cfg and key not in _runner_keys():
        print(
            f'warning: --cfg-options {key}: a variable of the config file; '
            'what the file made of it stays as it is',
            file=sys.stderr,
        )


def _unknown(part: str, path: str, known: set[str]) -> str:
    """Describe an unknown key, with the closest known one."""
    close = difflib.get_close_matches(part, sorted(known), n=1)
    guess = f', did you mean {close[0]!r}?' if close else ''
    return (
        f'{path or "the config"} has no key {part!r}{guess} '
        '(+KEY=VALUE adds one)'
    )


def _known_keys(
    node: dict, path: str, scope: str, options: dict[str, Any]
) -> set[str] | None:
    """Return the keys a dict may hold, None where any may be read."""
    kind = options.get(f'{path}.type', node.get('type'))
    if kind is not None:
        known = _class_keys(kind, scope)
        return None if known is None else known | set(node) | _BUILD_KEYS
    known = _untyped_keys(path)
    if known is None and not node:
        return None
    return (known or set()) | set(node)


def _untyped_keys(path: str) -> set[str] | None:
    """Return the keys of the dicts that the Runner reads without a type."""
    if not path:
        return _runner_keys()
    readers: dict[str, tuple[Callable, ...]] = {
        'train_dataloader': (DataLoader,),
        'val_dataloader': (DataLoader,),
        'test_dataloader': (DataLoader,),
        'optim_wrapper': (OptimWrapper,),
        'log_processor': (LogProcessor,),
        'randomness': (set_random_seed,),
        'env_cfg.mp_cfg': (set_multi_processing,),
        'env_cfg.dist_cfg': (init_process_group,),
        'train_cfg': (EpochBasedTrainLoop, IterBasedTrainLoop),
        'val_cfg': (ValLoop,),
        'test_cfg': (TestLoop,),
    }
    known: set[str] = set()
    for reader in readers.get(path, ()):
        known |= _parameters(reader) or set()
    if path.endswith('_dataloader'):
        known |= _LOADER_KEYS
    if path == 'env_cfg':
        known |= {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}
    if path == 'auto_scale_lr':
        known |= {'enable', 'base_batch_size'}
    return known | _BUILD_KEYS if known else None


def _runner_keys() -> set[str]:
    """Return what the Runner and the tools read at the top of a config."""
    return (_parameters(Runner) or set()) - {'cfg'} | {
        *('runner_type', 'custom_imports', 'model_wrapper_cfg'),
        *('tta_model', 'tta_pipeline', 'compile', 'sync_bn'),
        *('find_unused_parameters', 'static_graph'),
    }


def _class_keys(kind: Any, scope: str) -> set[str] | None:
    """Return the arguments of a registered class, None if not known."""
    found = [kind] if callable(kind) else []
    if isinstance(kind, str):
        names = (kind,) if '.' in kind else (f'{scope}.{kind}', kind)
        roots = [r for r in vars(registries).values() if type(r) is Registry]
        for name in names:
            with quiet_imports():
                found = [c for c in (r.get(name) for r in roots) if c]
            if found:
                break
    keys: set[str] = set()
    for cls in found:  # one name may stand in several registries
        parameters = _parameters(cls)
        if parameters is None:
            return None
        keys |= parameters
    return keys if found else None


def _parameters(obj: Callable) -> set[str] | None:
    """Return the names ``obj`` accepts, None if it accepts any.

    ``**kwargs`` of a class are taken to reach the next ``__init__`` in its
    method resolution order.
    """
    makers = [obj]
    if inspect.isclass(obj):
        makers = [
            vars(c)['__init__'] for c in obj.__mro__ if '__init__' in vars(c)
        ]
    names: set[str] = set()
    for maker in makers:
        if maker is object.__init__:
            break
        parameters = inspect.signature(maker).parameters.values()
        names |= {p.name for p in parameters if p.kind not in (2, 4)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return names - {'self'}
    return None
