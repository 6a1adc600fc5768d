# PCNet, Table 5: the weights of pcnet_r50_prw.py, tested as the release does:
# f' averaged over neighbours, input 1500 x 900.
_base_ = 'pcnet_r50_prw.py'

model = dict(test_cfg=dict(average_iou_thr=0.6, query_average_iou_thr=0.5))

test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (1500, 900)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
