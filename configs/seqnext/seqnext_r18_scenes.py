# A small SeqNeXt from scratch on rendered scenes, for a CPU. Nothing of it is
# frozen.
_base_ = [
    '../_base_/models/seqnext_r50_c4.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

model = _base_.small_c4
_trained = dict(norm_cfg=dict(requires_grad=True), norm_eval=False)
model.backbone.update(_trained)
model.roi_head.shared_head.backbone.update(_trained)
model.roi_head.bbox_head = [
    dict(head, **_base_.small_bbox_head)
    for head in _base_.model.roi_head.bbox_head
]
del _trained
