# PGSFL on PRW: 40000 iterations of four frames.
_base_ = [
    '../_base_/models/pgsfl_r50_c4.py',
    '../_base_/datasets/prw_1500x900.py',
    '../_base_/schedules/schedule_pgsfl_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=_base_.prw_memory, loss_attention=dict(warmup_iters=1426)
        )
    )
)

train_dataloader = dict(batch_size=4)
