# A small UGAS on NAE from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/ugas-nae_r50_c4.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

model = _base_.small_c4
# As published: the length of an embedding has to be able to vary.
model.roi_head.reid_head.projection.init_std = 0.01
model.neck = dict(in_channels=[32, 64], out_channels=64)
model.roi_head.shallow = dict(
    roi_extractor=dict(roi_layer=dict(output_size=(12, 6)), out_channels=64),
    reid_head=dict(
        projection=dict(in_channels=[64], embed_dims=128),
        memory=_base_.small_reid_head.memory,
    ),
)
