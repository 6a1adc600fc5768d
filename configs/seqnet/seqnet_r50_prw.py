# SeqNet on PRW.
_base_ = [
    '../_base_/models/seqnet_r50_c4.py',
    '../_base_/datasets/prw_1500x900.py',
    '../_base_/schedules/schedule_22e_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(reid_head=dict(memory=dict(queue_size=500))))

# 18 epochs, the rate falls after 16.
train_cfg = dict(max_iters=18 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(
    milestones=[16 * _base_.epoch], end=18 * _base_.epoch
)
# SeqNet's code decays every parameter.
optim_wrapper = dict(paramwise_cfg=None)
