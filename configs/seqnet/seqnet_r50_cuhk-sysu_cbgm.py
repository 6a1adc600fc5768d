# SeqNet with context bipartite graph matching at evaluation. Same weights.
_base_ = 'seqnet_r50_cuhk-sysu.py'

val_evaluator = dict(cbgm=True)
test_evaluator = val_evaluator
