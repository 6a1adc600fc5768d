# Table 1, row 2, and Table 3, PCNet (double dagger): CPP, distance loss.
_base_ = 'pcnet_r18_scenes.py'

model = dict(bbox_head=dict(aggregation=None, loss_tri=None))
