# PGSFL on PRW: 40000 iterations of four frames.
_base_ = [
    '../_base_/models/pgsfl_r50_c4.py',
    '../_base_/datasets/prw_1500x900.py',
    '../_base_/schedules/schedule_22e_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=dict(queue_size=500), loss_attention=dict(warmup_iters=1426)
        )
    )
)

train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=40000)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[30000], end=40000)
optim_wrapper = dict(
    paramwise_cfg=None, optimizer=dict(lr=1e-4, weight_decay=1e-4)
)
auto_scale_lr = dict(base_batch_size=4)
