# PGSFL on CUHK-SYSU: 40000 iterations of four frames.
_base_ = [
    '../_base_/models/pgsfl_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_1500x900.py',
    '../_base_/schedules/schedule_pgsfl_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(reid_head=dict(loss_attention=dict(warmup_iters=2802)))
)

train_dataloader = dict(batch_size=4)
