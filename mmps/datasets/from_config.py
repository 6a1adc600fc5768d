"""Finding a split's data set in a config."""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmps.registry import DATASETS

from .person_search_dataset import PersonSearchDataset


def dataset_config(cfg: Config, split: str, wrapped: bool = False) -> Any:
    """Config of the data set that the split's dataloader holds.

    Args:
        cfg: A full config or one of ``configs/_base_/datasets``.
        split: 'train' or 'test'.
        wrapped: Keep wrappers such as RepeatDataset. Defaults to False.

    Returns:
        A copy of the data set's config.

    Raises:
        ValueError: The config has no such data set, or has several.
    """
    key = f'{split}_dataloader'
    node = (cfg.get(key) or {}).get('dataset')
    if not isinstance(node, Mapping) or 'type' not in node:
        raise ValueError(
            f'the config has no {key}.dataset; expected a full config or one '
            'of configs/_base_/datasets'
        )
    node = copy.deepcopy(node)
    while not wrapped and isinstance(node.get('dataset'), Mapping):
        node = node['dataset']
    if not wrapped and 'datasets' in node:
        raise ValueError(
            f'{key}.dataset joins {len(node["datasets"])} data sets; '
            'expected one'
        )
    return node


def build_dataset(node: Mapping, **changes: Any) -> PersonSearchDataset:
    """Build a data set from its config.

    Args:
        node: From :func:`dataset_config`.
        **changes: Arguments that replace those of the config.

    Raises:
        ValueError: It is no person-search data set.
    """
    dataset = DATASETS.build({**node, **changes})
    if not isinstance(dataset, PersonSearchDataset):
        raise ValueError(
            f'{node["type"]} is no person-search data set; expected one of '
            'mmps, such as mmps.PRWDataset'
        )
    return dataset
