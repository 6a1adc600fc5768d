"""Models of the configs that the package ships, by name."""

import copy
import fnmatch
import os
from typing import Any

import mmengine
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmps.checkpoints.loaders import load_weights, set_checkpoint_loaders
from mmps.utils.config import configs_folder, load_config, shipped_configs
from mmps.utils.part_imports import import_parts


def list_models(
    pattern: str | None = None, published: bool = False
) -> list[str]:
    """Names of the configs that the package ships.

    Every name is one for :func:`get_model`, ``load_config`` and the tools.

    >>> from mmps.apis import list_models
    >>> list_models('nae-plus_*')
    ['nae-plus_r50_cuhk-sysu', 'nae-plus_r50_prw']

    Args:
        pattern: Shell pattern of whole names (``*``, ``?``, ``[...]``), case
            counts. Defaults to None, all names.
        published: Only those that take a checkpoint which others have
            published, once ``tools/model_converters/import_published.py`` has
            imported it (docs/model_zoo.md). Defaults to False.

    Returns:
        Sorted names; none if nothing fits the pattern.

    Raises:
        UsageError: The installation has no configs.
    """
    names = list(shipped_configs())
    if published:
        known = {one['config'] for f in model_zoo() for one in f['models']}
        names = [name for name in names if name in known]
    return names if pattern is None else fnmatch.filter(names, pattern)


def model_zoo() -> list[dict[str, Any]]:
    """Models that others have published, as in ``configs/model_zoo.yml``.

    Returns:
        Per method ``title``, ``page``, ``files`` (where), ``licence``,
        ``seen``, ``equal_to`` and ``models``: ``config``, ``dataset`` and
        where they are known ``mAP`` and ``top-1``.

    Raises:
        UsageError: The installation has no configs.
    """
    return mmengine.load(configs_folder() / 'model_zoo.yml')


def get_model(
    name: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    device: str | None = None,
    trust_checkpoint: bool = False,
) -> nn.Module:
    """Build the model of a config, and load weights into it.

    The detector itself, as mmdet builds it. :class:`PersonModel` runs one on
    pictures, :class:`PersonSearcher` searches with it.

    >>> from mmps.apis import get_model
    >>> model = get_model('pcnet_r18_scenes')
    >>> type(model.bbox_head).__name__, model.training
    ('PCNetHead', False)

    Args:
        name: One of :func:`list_models`, a config file,
            ``package::FOLDER/NAME.py``, or a loaded config.
        checkpoint: All weights of the model, a ``.pth`` or ``.safetensors``
            file, or an address (see
            :func:`~mmps.checkpoints.loaders.load_weights`). Defaults to None:
            the weights are random, also those of the backbone.
        device: Such as 'cuda:0'. Defaults to None, the CPU.
        trust_checkpoint: Read a checkpoint that holds more than weights and
            plain values, too, with a warning; code in it is run. mmengine's
            own loading is set likewise in this process. Defaults to False.

    Returns:
        The model in evaluation mode, with the config as ``model.cfg``.

    Raises:
        UsageError: Config or checkpoint cannot be read or do not fit.
    """
    import_parts()
    # Some of mmdet's detectors load weights while they are built.
    set_checkpoint_loaders(trust_checkpoint)
    config = name if isinstance(name, Config) else load_config(name)
    model = build_model(config)
    if checkpoint is not None:
        load_weights(model, checkpoint, trust_checkpoint)
    model.cfg = config
    return model.to(device or 'cpu').eval()


def build_model(config: Config) -> nn.Module:
    """The model of a config, without looking for pretrained weights.

    Args:
        config: With ``model``, and ``default_scope`` unless it is mmdet's.
    """
    node = copy.deepcopy(config.model)
    node.pop('pretrained', None)
    if isinstance(node.get('backbone'), dict):
        node.backbone.init_cfg = None
    scope = config.get('default_scope', 'mmdet')
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(node)
