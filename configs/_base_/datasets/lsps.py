# LSPS: data/LSPS, or $MMPS_DATA_ROOT/LSPS (see mmps.LSPSDataset for the
# layout). Read as PRW is: its cameras' frames are wider than high, too.
_base_ = 'prw.py'

dataset_type = 'mmps.LSPSDataset'
data_root = 'data/LSPS'

_dataset = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = val_dataloader
del _dataset
