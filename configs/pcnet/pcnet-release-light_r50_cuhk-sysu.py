# The release's "fast" configuration on CUHK-SYSU.
_base_ = 'pcnet-release_r50_cuhk-sysu.py'

model = dict(test_cfg=dict(nms=dict(iou_threshold=0.4), average_iou_thr=None))
