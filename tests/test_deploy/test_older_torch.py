"""Tests of exports and compiled code on a torch that lacks the means."""

import pytest
import torch
from torch import nn

from mmps.deploy import export_onnx
from mmps.engine.preparation import compile_body
from mmps.utils.errors import UsageError

from process_group import WARM

# As before torch 2.4. mmdet and others may look for it when they are imported.
CODE = """
import torch
import sys
import mmps.apis, mmps.models
assert 'mmps.deploy' not in sys.modules
if hasattr(torch.library, 'custom_op'):
    del torch.library.custom_op
from mmps.deploy.operators import nms, roi_align
boxes = torch.tensor([[0, 0, 8, 8], [0, 0, 8, 9], [20, 0, 28, 8.0]])
index, valid = nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5, 0.1, 3)
assert index.tolist() == [1, 2, 1] and valid.tolist() == [True, True, False]
x = torch.arange(16.0).reshape(1, 1, 4, 4)
roi = torch.tensor([[0, 1, 1, 3, 3.0]])
assert roi_align(x, roi, 1, 1, 1.0, 1, True).item() == 7.5
"""


def test_operators_are_functions_where_torch_makes_none():
    process = WARM.Process(target=exec, args=(CODE, {}))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_exports_and_compiled_code_name_the_version(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, '__version__', '2.1.2')
    path = tmp_path / 'a.onnx'
    with pytest.raises(UsageError, match='ONNX export needs torch 2.11 or'):
        export_onnx(nn.Identity(), path, (64, 64))
    assert not path.exists()
    with pytest.raises(UsageError, match='CompileHook needs torch 2.6 or'):
        compile_body(nn.Identity())
