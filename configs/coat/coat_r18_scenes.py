# A small COAT from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/coat_r50_c4.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

_roi_head = _base_.model.roi_head
model = _base_.small_c4
model.roi_head.shared_head = [
    dict(head, in_channels=128, out_channels=256, channels=128)
    for head in _roi_head.shared_head
]
model.roi_head.bbox_head = [
    dict(head, in_channels=256, roi_feat_size=(12, 6))
    for head in _roi_head.bbox_head
]
# As published: the length of an embedding has to be able to vary.
model.roi_head.reid_head.projection.init_std = 0.01
model.roi_head.reid_head.id_classifier = dict(max_ids=1000)
model.train_cfg.rcnn = [
    dict(cfg, sampler=dict(cfg.sampler, num=32))
    for cfg in _base_.model.train_cfg.rcnn
]
del _roi_head

# Unlike the norms of scores it starts at 1.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'id_classifier.norm': dict(lr_mult=1.0)})
)
