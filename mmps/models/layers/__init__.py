"""Layers of person-search models."""

from .aggregation import CrossScaleAggregation, RoIAlignAggregation
from .backbone_stage import BackboneStage
from .classifiers import (
    BaseClassifier,
    LinearClassifier,
    MemoryClassifier,
    NormClassifier,
    PixelNormClassifier,
)
from .decomposition import (
    BaseDecomposition,
    BoxFeatures,
    FlattenDecomposition,
    MarginalDecomposition,
    ParameterDecomposition,
    SharedPooling,
)
from .deform_conv import DeformConv, deform_conv2d_by_sampling
from .deform_conv_pack import DeformConvPack, ModulatedDeformConvPack
from .identity_classifier import IdentityClassifier
from .occluded_attention import OccludedAttentionTransformer
from .part_attention import PartAttention
from .point_pooling import (
    BasePointPooling,
    ContextualPointPooling,
    ConvPointPooling,
    IdentityPointPooling,
    PointFeatures,
)
from .projection import LinearProjection, UncertaintyGuidance
from .proto_norm import ProtoNorm
from .reid_features import ReIDFeatures
from .reid_pooling import (
    BasePooling,
    MaxPooling,
    MeanPooling,
    NormAttention,
    PrototypeGuidedAttention,
)
from .roi_attention import CBAM, PedestrianAttention, SpatialAttention

__all__ = [
    'CBAM',
    'BackboneStage',
    'BaseClassifier',
    'BaseDecomposition',
    'BasePointPooling',
    'BasePooling',
    'BoxFeatures',
    'ContextualPointPooling',
    'ConvPointPooling',
    'CrossScaleAggregation',
    'DeformConv',
    'DeformConvPack',
    'FlattenDecomposition',
    'IdentityClassifier',
    'IdentityPointPooling',
    'LinearClassifier',
    'LinearProjection',
    'MarginalDecomposition',
    'MaxPooling',
    'MeanPooling',
    'MemoryClassifier',
    'ModulatedDeformConvPack',
    'NormAttention',
    'NormClassifier',
    'OccludedAttentionTransformer',
    'ParameterDecomposition',
    'PartAttention',
    'PedestrianAttention',
    'PixelNormClassifier',
    'PointFeatures',
    'ProtoNorm',
    'PrototypeGuidedAttention',
    'ReIDFeatures',
    'RoIAlignAggregation',
    'SharedPooling',
    'SpatialAttention',
    'UncertaintyGuidance',
    'deform_conv2d_by_sampling',
]
