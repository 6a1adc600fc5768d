"""Tests of the commands and examples of docs/deploy.md."""

import re
import shlex
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmps.apis import PersonModel
from mmps.deploy import export_onnx
from mmps.gallery import Frame, GalleryRows, create_gallery, stable_id
from mmps.utils.config import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'deploy.md').read_text()
BLOCKS = re.findall(r'^```(\w+)\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
PYTHON = [text for kind, text in BLOCKS if kind == 'python']
TOOL = 'tools/model_converters/export_onnx.py'
SMALL = {'model.test_cfg.score_thr': 0.0, 'model.test_cfg.max_per_img': 8}


def test_commands(monkeypatch):
    """Every option is known, every config there."""
    (shell,) = (text for kind, text in BLOCKS if kind == 'bash')
    shell += '\n' + (ROOT / 'README.md').read_text()
    lines = shell.replace('\\\n', ' ').splitlines()
    lines = [line for line in lines if line.startswith(f'python {TOOL}')]
    assert len(lines) == 3
    spec = spec_from_file_location('export_onnx', ROOT / TOOL)
    tool = module_from_spec(spec)
    spec.loader.exec_module(tool)
    for line in lines:
        monkeypatch.setattr(sys, 'argv', shlex.split(line)[1:])
        args = tool.parse_args()
        assert args.size == [750, 1333]
        assert args.config == 'CONFIG' or (ROOT / args.config).is_file()


def test_hooks(tmp_path):
    base = ROOT / 'configs' / 'oim' / 'oim_r18_scenes.py'
    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = '{base}'\n{PYTHON[1]}")
    names = [hook['type'] for hook in Config.fromfile(own).custom_hooks]
    assert names[-2:] == ['mmps.ChannelsLastHook', 'mmps.CompileHook']
    assert 'mmps.ResolvePersonIdsHook' in names


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with what the example reads."""
    pytest.importorskip('torch', minversion='2.11')
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    cfg = load_config(ROOT / 'configs/pcnet/pcnet_r18_scenes.py', SMALL)
    model = PersonModel(cfg, device='cpu', det_thr=0.0)
    # Frames of 432 x 768 are resized to this.
    export_onnx(model.model, 'pcnet.onnx', (216, 384))
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    cv2.imwrite('frame.jpg', cv2.resize(coarse, (768, 432)))
    return model


@pytest.mark.slow
def test_example(here):
    """It finds in a gallery of the searcher whom it sees in the frame."""
    (want,) = here.detect([cv2.imread('frame.jpg')])
    ids = np.array([stable_id(f'frame#{i}') for i in range(len(want))])
    rows = GalleryRows(
        ids, np.zeros(len(want), int), want.bboxes, want.scores,
        want.embeddings,
    )  # fmt: skip
    with create_gallery('galleries/street', here.header()) as gallery:
        gallery.add([Frame('frame')], rows)
    code = PYTHON[0]
    assert 'scores >= 0.5' in code
    names = {}
    exec(code.replace('scores >= 0.5', 'scores >= 0'), names)
    assert len(want) == 8
    np.testing.assert_allclose(names['boxes'], want.bboxes, atol=0.01)
    matches = names['matches']
    assert matches.ids.shape == (8, 5)
    np.testing.assert_allclose(matches.similarities[:, 0], 1, atol=1e-4)
    own = names['embeddings'] @ want.embeddings.T
    np.testing.assert_allclose(matches.similarities[:, 0], own.max(1), 1e-4)
    np.testing.assert_allclose(np.diag(own), 1, atol=1e-4)
