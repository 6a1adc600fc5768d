# The small PGSFL with AMU by the text (the sentence before equation 8).
_base_ = 'pgsfl_r18_scenes.py'

model = dict(
    roi_head=dict(reid_head=dict(memory=dict(update=dict(reading='text'))))
)
