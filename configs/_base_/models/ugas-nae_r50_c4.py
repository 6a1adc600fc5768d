# UGAS on NAE.
_base_ = ['nae_r50_c4.py', 'ugas.py']

model = _base_.ugas
