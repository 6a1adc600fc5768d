# AlignPS as its published code tests it on PRW, for its checkpoints.
_base_ = 'alignps_r50_prw.py'

model = dict(test_cfg=dict(query_from='detections'))
