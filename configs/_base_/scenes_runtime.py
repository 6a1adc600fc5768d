# What every run on scenes shares; an interrupted one loses little.
_base_ = 'default_runtime.py'

default_hooks = dict(checkpoint=dict(interval=600))
