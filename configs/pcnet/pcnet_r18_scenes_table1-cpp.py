# Table 1, row 1: CPP alone.
_base_ = 'pcnet_r18_scenes.py'

model = dict(bbox_head=dict(aggregation=None, loss_dist=None, loss_tri=None))
