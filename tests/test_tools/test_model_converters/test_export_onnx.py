"""Tests of export_onnx.py: from checkpoint to ONNX file, and errors."""

import sys
from importlib import import_module

import numpy as np
import onnxruntime
import pytest
from mmengine.config import Config

from mmps import __version__
from mmps.apis import PersonModel
from mmps.checkpoints.reading import read_checkpoint

from bad_checkpoints import write_bad_checkpoint

pytest.importorskip('torch', minversion='2.11')
TOOL = 'model_converters/export_onnx.py'
SIZE = ('--size', 108, 192)


@pytest.fixture
def inputs(search_run):
    return search_run.config, search_run.checkpoint


def test_writes_and_checks(cli, tool, inputs, search_run, tmp_path, capsys):
    pictures = sorted(search_run.images.glob('*.jpg'))[:2]
    module = tool(TOOL)
    out = tmp_path / 'new' / 'small.onnx'
    with pytest.MonkeyPatch.context() as patch:
        words = [TOOL, *inputs, out, *SIZE, '--check', *pictures]
        patch.setattr(sys, 'argv', [str(word) for word in words])
        module.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f'{out}: ')
    assert second.startswith('12 people in 2 images; differences: 0 ')

    session = onnxruntime.InferenceSession(out)
    model = PersonModel(Config.fromfile(inputs[0]), inputs[1], device='cpu')
    assert session.get_modelmeta().custom_metadata_map == dict(
        mmps_version=__version__,
        model='search',
        model_hash=model.weights_hash,
        metric='cosine',
        dim='128',
    )
    assert session.get_inputs()[0].shape == [1, 3, 108, 192]


@pytest.mark.slow
def test_what_differs_is_an_error(cli, inputs, tmp_path, monkeypatch):
    """The file is made of another model than the one it is checked with."""
    module = import_module('mmps.deploy.onnx_export')

    def spoil(model, path, size, query, metadata):
        model.bbox_head.retina_reg.bias.data += 0.1
        module.export_onnx(model, path, size, query, metadata)
        model.bbox_head.retina_reg.bias.data -= 0.1

    monkeypatch.setattr('mmps.deploy.export_onnx', spoil)
    status, err = cli(TOOL, *inputs, tmp_path / 'a.onnx', *SIZE, '--check')
    assert status == 2
    assert 'a.onnx differs from its detector' in err
    assert 'boxes' in err


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (('a.pth', *SIZE), 'a.pth: expected a name that ends in .onnx'),
        (('a.onnx', '--size', 16, 192), 'expected 32 or more'),
        (('a.onnx', *SIZE, '--check', 'none.jpg'), 'none.jpg'),
        (('a.onnx', *SIZE, '--cfg-options',
          'model.test_cfg.nms.type=soft_nms'), "type='nms'"),
    ],
)  # fmt: skip
def test_errors(cli, inputs, words, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, err = cli(TOOL, *inputs, *words)
    assert status == 2
    assert text in err.splitlines()[-1]
    assert 'Traceback' not in err
    assert not list(tmp_path.iterdir())


def test_missing_extra(cli, inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    status, err = cli(TOOL, *inputs, tmp_path / 'a.onnx', *SIZE)
    assert status == 2
    assert err.splitlines()[-1] == (
        'error: ONNX needs onnxscript: pip install "mmps[onnx]"'
    )


def test_code_in_a_checkpoint(cli, inputs, tmp_path, monkeypatch):
    config, checkpoint = inputs
    bad, marker = tmp_path / 'bad.pth', tmp_path / 'ran'
    data = read_checkpoint(checkpoint)
    write_bad_checkpoint('gadget-in-meta', bad, marker, data)
    out = tmp_path / 'a.onnx'
    status, err = cli(TOOL, config, bad, out, *SIZE)
    assert status == 2
    assert 'refused: reading that can run code' in err
    assert not marker.exists()

    monkeypatch.setattr(
        'mmps.deploy.export_onnx', lambda _, path, *__: path.touch()
    )
    with pytest.warns(UserWarning, match='it is trusted'):
        status, err = cli(TOOL, config, bad, out, *SIZE, '--trust-checkpoint')
    assert status == 0, err
    assert marker.exists()


def test_noise_has_the_size(tool):
    images = tool(TOOL).read_images([], (90, 150))
    assert [image.shape for image in images] == [(90, 150, 3)] * 4
    assert np.std(images) > 30
