"""Settings of a config's person-search metric."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mmengine.config import Config

from mmps.evaluation.functional import SearchSettings
from mmps.utils.config import type_name

from .person_search_metric import PersonSearchMetric


def settings_of(cfg: Config) -> SearchSettings:
    """The settings that the metric of a config has.

    Args:
        cfg: A config; one without the metric gives the defaults.

    Raises:
        ValueError: The metric's settings are out of range.
    """
    nodes: Any = cfg.get('test_evaluator') or []
    if isinstance(nodes, Mapping):
        nodes = nodes.get('metrics', [nodes])
    for node in nodes if isinstance(nodes, (list, tuple)) else [nodes]:
        if type_name(node) == PersonSearchMetric.__name__:
            names = [field.name for field in fields(SearchSettings)]
            given = {name: node[name] for name in names if name in node}
            return PersonSearchMetric(**given).settings
    return SearchSettings()
