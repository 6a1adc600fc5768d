# UGAS, ablation (c): SFM with self-distillation, without uncertainty.
_base_ = 'ugas-seqnet_r18_scenes.py'

_reid_head = dict(uncertainty=None)
model = dict(
    roi_head=dict(
        reid_head=_reid_head,
        shallow=dict(reid_head=_reid_head),
    )
)
del _reid_head
