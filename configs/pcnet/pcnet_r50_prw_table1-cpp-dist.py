# Table 1, row 2, and Table 3, PCNet (double dagger): CPP, distance loss.
_base_ = 'pcnet_r50_prw.py'

model = dict(bbox_head=dict(aggregation=None, loss_tri=None))
