# IIDFC, Table V, "+FC": HOIM-base, IRR and the angular margin, no PAM.
_base_ = 'iidfc_res2net50_cuhk-sysu.py'

model = dict(roi_head=dict(attention=None))
