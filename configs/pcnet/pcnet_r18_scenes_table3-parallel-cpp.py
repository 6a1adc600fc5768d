# Table 3 (dagger): a parallel re-id branch with CPP and distance loss.
_base_ = 'pcnet_r18_scenes.py'

model = dict(bbox_head=dict(det_from='neck', aggregation=None, loss_tri=None))
