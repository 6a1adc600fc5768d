# Deformable convolutions (v2) in the last three stages of a ResNet:
# `model = dict(backbone=_base_.deformable_backbone)`.
deformable_backbone = dict(
    dcn=dict(
        type='mmps.ModulatedDeformConvPack',
        deform_groups=1,
        fallback_on_stride=False,
    ),
    stage_with_dcn=(False, True, True, True),
)
