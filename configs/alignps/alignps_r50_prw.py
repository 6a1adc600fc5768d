# AlignPS on PRW: no triplets, prototypes of unit length, sharper logits.
_base_ = [
    '../_base_/models/alignps_r50_afa.py',
    '../_base_/datasets/prw_multiscale.py',
    '../_base_/schedules/schedule_alignps_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        memory=dict(**_base_.prw_memory, update=dict(normalise=True)),
        loss_reid=dict(temperature=1 / 15, queue_temperature=1 / 10),
        loss_tri=None,
    )
)

# Scores are products of two, and smaller than those of other methods.
val_evaluator = dict(det_thr=0.15)
test_evaluator = val_evaluator
