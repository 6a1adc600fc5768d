# IIDFC, Table VI, "HOIM-ours-implements(ResNet50)": HOIM as it is.
_base_ = '../hoim/hoim_r50_prw.py'
