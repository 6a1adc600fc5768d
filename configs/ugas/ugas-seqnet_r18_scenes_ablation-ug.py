# UGAS, ablation (d): SeqNet with uncertainty guidance alone.
_base_ = '../seqnet/seqnet_r18_scenes.py'

model = dict(
    roi_head=dict(
        reid_head=dict(uncertainty=dict(type='mmps.UncertaintyGuidance'))
    )
)
