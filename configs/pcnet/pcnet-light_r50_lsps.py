# Lightweight PCNet (Table 4): detection towers of 64 channels.
_base_ = 'pcnet_r50_lsps.py'

model = dict(bbox_head=dict(feat_channels=64))
