# PGSFL with saliency maps of 14 x 14: layer4 keeps its stride (PGA* in Table
# 1, "Ours*" in Tables 4 and 5).
_base_ = 'pgsfl_r50_prw.py'

model = dict(
    roi_head=dict(
        shared_head=dict(stride=1, dilation=2),
        bbox_head=dict(roi_feat_size=14),
        reid_head=dict(pooling=dict(size=(14, 14))),
    )
)
