# With context bipartite graph matching as its published code has it.
_base_ = 'seqnet-release_r50_cuhk-sysu.py'

val_evaluator = dict(cbgm=dict(k1=10, k2=3, unit_company=True))
test_evaluator = val_evaluator
