# OIMNet+++ on CUHK-SYSU.
_base_ = [
    '../_base_/models/oimnetppp_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_1500x900.py',
    '../_base_/schedules/schedule_seqnet_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]
