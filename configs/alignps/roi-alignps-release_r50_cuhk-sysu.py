# ROI-AlignPS as its published code tests it on CUHK-SYSU, for its checkpoints.
_base_ = 'roi-alignps_r50_cuhk-sysu.py'

model = dict(test_cfg=dict(dense=dict(query_from='detections')))
