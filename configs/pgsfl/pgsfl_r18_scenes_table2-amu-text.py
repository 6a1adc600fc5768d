# The small PGSFL, Table 2, "Baseline w/ AMU", by the text.
_base_ = 'pgsfl_r18_scenes_table2-amu.py'

model = dict(
    roi_head=dict(reid_head=dict(memory=dict(update=dict(reading='text'))))
)
