# UGAS on SeqNet.
_base_ = ['seqnet_r50_c4.py', 'ugas.py']

model = _base_.ugas
