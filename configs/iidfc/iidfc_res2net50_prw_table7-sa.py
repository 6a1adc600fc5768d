# IIDFC, Table VII, "baseline+FC+SA".
_base_ = 'iidfc_res2net50_prw.py'

model = dict(roi_head=dict(attention=dict(type='mmps.SpatialAttention')))
