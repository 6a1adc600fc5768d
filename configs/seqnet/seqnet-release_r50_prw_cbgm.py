# With context bipartite graph matching as its published code has it.
_base_ = 'seqnet-release_r50_prw.py'

val_evaluator = dict(cbgm=dict(k1=30, k2=4, unit_company=True))
test_evaluator = val_evaluator
