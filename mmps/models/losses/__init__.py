"""Re-identification losses; stateless, on readouts and plain tensors.

Their per-sample values are in :mod:`mmps.models.losses.functional`.
"""

from .distance_loss import DistanceLoss
from .oim_loss import OIMLoss
from .pcnet_triplet_loss import PCNetTripletLoss

__all__ = ['DistanceLoss', 'OIMLoss', 'PCNetTripletLoss']
