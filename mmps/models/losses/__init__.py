"""Losses; on readouts of a memory and plain tensors.

Their per-sample values are in :mod:`mmps.models.losses.functional`.
"""

from .batch_hard_triplet_loss import BatchHardTripletLoss
from .boim_loss import BOIMLoss
from .distance_loss import DistanceLoss
from .gaussian_kl_loss import GaussianKLLoss
from .hoim_loss import HOIMLoss, SoftmaxFocalLoss
from .irr_loss import IRRLoss
from .mutual_information_loss import MutualInformationLoss
from .nt_xent_loss import NTXentLoss
from .oim_loss import FCLoss, OIMLoss
from .pcnet_triplet_loss import PCNetTripletLoss
from .prototype_guidance_loss import PrototypeGuidanceLoss
from .soft_label_loss import SoftLabelLoss

__all__ = [
    'BOIMLoss',
    'BatchHardTripletLoss',
    'DistanceLoss',
    'FCLoss',
    'GaussianKLLoss',
    'HOIMLoss',
    'IRRLoss',
    'MutualInformationLoss',
    'NTXentLoss',
    'OIMLoss',
    'PCNetTripletLoss',
    'PrototypeGuidanceLoss',
    'SoftLabelLoss',
    'SoftmaxFocalLoss',
]
