"""Tests of the docstrings of methods that a new part overrides."""

import inspect
import re

import pytest

from mmps.datasets import PersonSearchDataset
from mmps.gallery import BaseGallery
from mmps.models.layers import (
    BaseClassifier,
    BaseDecomposition,
    BasePointPooling,
    BasePooling,
    CrossScaleAggregation,
    PedestrianAttention,
    UncertaintyGuidance,
)
from mmps.models.losses import OIMLoss
from mmps.models.memories import BaseQueueRule, BaseUpdateRule
from mmps.models.necks import ShallowFusion
from mmps.models.roi_heads import ReIDHead, ShallowBranch

OWNERS = {
    OIMLoss: ['sample_losses', 'num_averaged'],
    BaseUpdateRule: ['forward'],
    BaseQueueRule: ['allocate', 'forward'],
    BasePooling: ['forward'],
    BasePointPooling: ['forward'],
    CrossScaleAggregation: ['forward'],
    PedestrianAttention: ['forward'],
    BaseClassifier: ['forward'],
    BaseDecomposition: ['forward'],
    UncertaintyGuidance: ['forward', 'sample', 'divergence'],
    ReIDHead: ['forward', 'read', 'loss'],
    ShallowBranch: ['forward', 'loss'],
    ShallowFusion: ['forward'],
    PersonSearchDataset: ['read_frames'],
    BaseGallery: sorted(BaseGallery.__abstractmethods__),
}
METHODS = [
    pytest.param(getattr(owner, name), id=f'{owner.__name__}.{name}')
    for owner, names in OWNERS.items()
    for name in names
]


@pytest.mark.parametrize('method', METHODS)
def test_arguments_and_results(method):
    text = inspect.getdoc(method) or ''
    signature = inspect.signature(method)
    for name in signature.parameters:
        if name not in ('self', 'cls'):
            assert re.search(rf'^ *{name}( \([^\n]*\))?: ', text, re.M), name
    # The first line of some of a gallery's methods is the result.
    if signature.return_annotation and 'Gallery' not in method.__qualname__:
        assert 'Returns:' in text


@pytest.mark.parametrize('method', METHODS)
def test_tensors_have_shapes(method):
    """Of every tensor or array, (N, ...) or ()."""
    text = inspect.getdoc(method)
    for name, parameter in inspect.signature(method).parameters.items():
        if re.search(r'\b(Tensor|ndarray)\b', str(parameter.annotation)):
            said = re.search(
                rf'^ *{name}( \([^\n]*\))?: (.*\n?.*)', text, re.M
            )[2]
            assert re.search(r'\((\w[^)]*)?\)', said), name
