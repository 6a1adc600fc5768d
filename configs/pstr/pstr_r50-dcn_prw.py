# PSTR on PRW, with deformable convolutions in the backbone.
_base_ = 'pstr_r50_prw.py'

model = dict(
    backbone=dict(
        dcn=dict(
            type='mmps.ModulatedDeformConvPack',
            deform_groups=1,
            fallback_on_stride=False,
        ),
        stage_with_dcn=(False, True, True, True),
    )
)
