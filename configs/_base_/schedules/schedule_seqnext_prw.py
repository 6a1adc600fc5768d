# SeqNeXt's schedule on PRW, as on CUHK-SYSU.
_base_ = 'schedule_seqnext_cuhk_sysu.py'

epoch = 713  # 5704 frames
max_iters = 30 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = epoch - 1
param_scheduler[1].update(milestones=[15 * epoch, 25 * epoch], end=max_iters)
