"""Pretrained weights of backbones that know several layouts of keys."""

from collections.abc import Callable, Mapping
from typing import Any

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmps.checkpoints.reading import weights_of
from mmps.utils.errors import UsageError


def load_pretrained(
    net: nn.Module,
    init_cfg: Mapping[str, Any],
    rename: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    optional: tuple[str, ...] = (),
) -> None:
    """Load everything that a network has from the file of an ``init_cfg``.

    mmengine's own initialisation takes what fits and goes on without the
    rest; a file of another network would go unnoticed.

    Args:
        net: The network, changed in place.
        init_cfg: ``type='Pretrained'``, ``checkpoint`` and perhaps
            ``prefix``, that of the keys to be read.
        rename: Gives the file's weights the network's keys.
        optional: Starts of keys that a file may lack.

    Raises:
        ValueError: ``init_cfg`` is of another type.
        UsageError: The file lacks weights of the network, or has them in
            other shapes.
    """
    if not isinstance(init_cfg, Mapping) or init_cfg['type'] != 'Pretrained':
        raise ValueError(
            f'init_cfg of a {type(net).__name__}: expected '
            f"dict(type='Pretrained', checkpoint=FILE), got {init_cfg}"
        )
    source = init_cfg['checkpoint']
    checkpoint = CheckpointLoader.load_checkpoint(source, 'cpu', 'silent')
    state = _weights_in(checkpoint, init_cfg.get('prefix', ''))
    try:
        state = rename(state)
    except (AttributeError, KeyError, RuntimeError, ValueError):
        state = {}  # the rules of another network's file
    own = net.state_dict()
    lacking = [
        key
        for key, value in own.items()
        if getattr(state.get(key), 'shape', None) != value.shape
        and not key.endswith('num_batches_tracked')
        and not (key not in state and key.startswith(optional))
    ]
    if lacking:
        raise UsageError(
            f'checkpoint {source}: is not of this {type(net).__name__}; it '
            f'lacks {len(lacking)} of {len(own)} weights, or has them in '
            f'other shapes (first: {", ".join(lacking[:3])})'
        )
    found = {key: state[key] for key in own if key in state}
    net.load_state_dict(found, strict=False)


def _weights_in(checkpoint: Any, prefix: str) -> dict[str, Tensor]:
    # Of SOLIDER's training the averaged network.
    state = weights_of(checkpoint.get('teacher', checkpoint))
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
