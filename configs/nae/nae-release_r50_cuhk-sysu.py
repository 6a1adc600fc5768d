# NAE as its published code tests it on CUHK-SYSU, for its checkpoints.
_base_ = [
    '../_base_/models/nae_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_torchvision.py',
    '../_base_/schedules/schedule_22e_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    rpn_head=dict(
        anchor_generator=dict(type='mmps.TorchvisionAnchorGenerator')
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.5)),
)
