# ROI-AlignPS as its published code tests it on PRW, for its checkpoints.
_base_ = 'roi-alignps_r50_prw.py'

model = dict(test_cfg=dict(dense=dict(query_from='detections')))
