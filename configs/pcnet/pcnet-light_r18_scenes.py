# The light version of pcnet_r18_scenes.py: half as wide towers.
_base_ = 'pcnet_r18_scenes.py'

model = dict(bbox_head=dict(feat_channels=32))
