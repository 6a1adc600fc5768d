# UGAS, ablation (c): SFM with self-distillation, without uncertainty.
_base_ = 'ugas-seqnet_r50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(uncertainty=None),
        shallow=dict(reid_head=dict(uncertainty=None)),
    )
)
