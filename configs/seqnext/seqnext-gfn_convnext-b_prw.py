# SeqNeXt with ConvNeXt-B and a gallery filter on PRW.
_base_ = 'seqnext_convnext-b_prw.py'

model = dict(
    roi_head=dict(
        gallery_filter=dict(
            type='mmps.GalleryFilter',
            memory=dict(type='mmps.SceneMemory', num_scenes=5704),
        )
    )
)
val_evaluator = dict(scene_filter=True)
test_evaluator = val_evaluator
