# SeqNeXt with ConvNeXt-B and a gallery filter on CUHK-SYSU.
_base_ = 'seqnext_convnext-b_cuhk-sysu.py'

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
