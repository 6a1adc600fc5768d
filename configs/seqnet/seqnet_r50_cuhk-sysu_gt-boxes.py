# Upper bound: the gallery is the annotated boxes. Same weights.
_base_ = 'seqnet_r50_cuhk-sysu.py'

model = dict(test_cfg=dict(rcnn=dict(use_gt_boxes=True)))
