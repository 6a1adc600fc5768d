# Table 2: detection first, re-id from the classification tower.
_base_ = 'pcnet_r50_prw.py'

model = dict(bbox_head=dict(det_from='neck', reid_from='cls'))
