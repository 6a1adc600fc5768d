# A small SeqNeXt with a gallery filter on rendered scenes, for a CPU.
_base_ = 'seqnext_r18_scenes.py'

model = dict(
    roi_head=dict(
        gallery_filter=dict(
            type='mmps.GalleryFilter',
            pool_size=24,
            memory=dict(type='mmps.SceneMemory', num_scenes=1000),
        )
    )
)
val_evaluator = dict(scene_filter=True)
test_evaluator = val_evaluator
