# IIDFC, Table VII, "baseline+FC+CBAM".
_base_ = 'iidfc_res2net50_prw.py'

model = dict(roi_head=dict(attention=dict(type='mmps.CBAM')))
