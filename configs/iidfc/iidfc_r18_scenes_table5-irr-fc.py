# IIDFC, Table V, "+FC": HOIM-base, IRR and the angular margin, no PAM.
_base_ = 'iidfc_r18_scenes.py'

model = dict(roi_head=dict(attention=None))
