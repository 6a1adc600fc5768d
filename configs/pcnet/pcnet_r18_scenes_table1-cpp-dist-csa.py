# Table 1, row 3: CPP, distance loss, CSA.
_base_ = 'pcnet_r18_scenes.py'

model = dict(bbox_head=dict(loss_tri=None))
