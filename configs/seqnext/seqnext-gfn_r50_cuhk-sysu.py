# SeqNeXt with ResNet-50 and a gallery filter on CUHK-SYSU.
_base_ = 'seqnext_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(
        gallery_filter=dict(
            type='mmps.GalleryFilter',
            memory=dict(type='mmps.SceneMemory', num_scenes=11206),
        )
    )
)
val_evaluator = dict(scene_filter=True)
test_evaluator = val_evaluator
