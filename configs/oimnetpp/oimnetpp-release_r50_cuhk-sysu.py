# OIMNet++ as its published code tests it on CUHK-SYSU, for its checkpoints.
_base_ = [
    '../_base_/models/oimnetpp_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_torchvision.py',
    '../_base_/schedules/schedule_seqnet_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    rpn_head=dict(
        # 8, 16 and 32 pixels, a quarter of what people are wide.
        anchor_generator=dict(
            type='mmps.TorchvisionAnchorGenerator', scales=[0.5, 1, 2]
        )
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.5)),
)
