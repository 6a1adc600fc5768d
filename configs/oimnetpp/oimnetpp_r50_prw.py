# OIMNet++ on PRW.
_base_ = [
    '../_base_/models/oimnetpp_r50_c4.py',
    '../_base_/datasets/prw_1500x900.py',
    '../_base_/schedules/schedule_oimnetpp_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(reid_head=dict(memory=_base_.prw_memory)))
