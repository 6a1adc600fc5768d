# COAT as its published code tests it on PRW, for its checkpoints.
_base_ = [
    '../_base_/models/coat_r50_c4.py',
    '../_base_/datasets/prw_torchvision.py',
    '../_base_/schedules/schedule_coat_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    rpn_head=dict(
        anchor_generator=dict(type='mmps.TorchvisionAnchorGenerator')
    ),
    # The checkpoints lack the weights of the identity classifiers.
    roi_head=dict(
        reid_head=dict(memory=_base_.prw_memory, id_classifier=None)
    ),
    test_cfg=dict(
        rcnn=dict(
            score_thr=0.5,
            before_last=[
                dict(prune, score_thr=0.5)
                for prune in _base_.model.test_cfg.rcnn.before_last
            ],
        )
    ),
)
train_dataloader = dict(batch_size=3)
