# UGAS, feature table: "deep", with distillation.
# Same weights as its base, which is "concat".
_base_ = 'ugas-seqnet_r50_prw_ablation-sfm-sd.py'

model = dict(test_cfg=dict(rcnn=dict(embedding='deep')))
