"""All families of published checkpoints."""

from .alignps import ALIGNPS, ALIGNPS_PLUS
from .coat import COAT
from .family import Family
from .hoim import HOIM, IIDFC
from .nae import NAE, NAE_PLUS, NAE_PLUS_FUSED
from .oimnetpp import OIMNETPP
from .pcnet_release import PCNET, PCNET_LIGHT, PCNET_MULTI
from .pstr_release import PSTR, PSTR_DCN, PSTR_PVT
from .roi_alignps import ROI_ALIGNPS
from .seqnet import SEQNET
from .seqnext import SEQNEXT, SEQNEXT_R50

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        *(SEQNET, NAE, NAE_PLUS, NAE_PLUS_FUSED, HOIM, IIDFC, OIMNETPP, COAT),
        *(SEQNEXT, SEQNEXT_R50),
        *(PCNET, PCNET_LIGHT, PCNET_MULTI),
        *(ALIGNPS, ALIGNPS_PLUS, ROI_ALIGNPS),
        *(PSTR, PSTR_DCN, PSTR_PVT),
    )
}
