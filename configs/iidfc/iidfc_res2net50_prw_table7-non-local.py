# IIDFC, Table VII, "baseline+FC+Non-local".
_base_ = 'iidfc_res2net50_prw.py'

model = dict(roi_head=dict(attention=dict(type='NonLocal2d')))
