# Swin-B from SOLIDER's pretraining on people; its file has to be fetched by
# hand (https://github.com/tinyvision/SOLIDER).
_base_ = 'swin_b.py'

_network = dict(
    semantic_weight=0.6,
    drop_path_rate=0.1,
    init_cfg=dict(checkpoint='checkpoints/solider_swin_base.pth'),
)

c4 = dict(
    backbone=_network,
    roi_head=dict(shared_head=dict(backbone=_network)),
)
pyramid = dict(backbone=_network)
# As its authors train SeqNet.
optimizer = dict(
    _delete_=True, type='SGD', lr=3e-4, momentum=0.9, weight_decay=5e-4
)
del _network
