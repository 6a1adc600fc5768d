# Upper bound: the gallery is the annotated boxes, as in the paper's section
# "Performance upper bound". Same weights as pcnet_r50_prw.py.
_base_ = 'pcnet_r50_prw_table5.py'

model = dict(test_cfg=dict(use_gt_boxes=True))
