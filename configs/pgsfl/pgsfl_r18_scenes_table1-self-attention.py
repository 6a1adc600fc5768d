# The small PGSFL, Table 1, "Self-attention": no guidance.
_base_ = 'pgsfl_r18_scenes_table1-pga.py'

model = dict(roi_head=dict(reid_head=dict(loss_attention=None)))
