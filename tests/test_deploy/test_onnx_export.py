"""Tests of ONNX files: standard operators, and the detector's results."""

import os
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from mmps.deploy import export_onnx
from mmps.deploy.onnx_check import Differences, check_onnx, predict
from mmps.utils.errors import UsageError

from .conftest import (
    detector,
    lively,
    path_of_test_cfg,
    pictures,
    pyramid,
)
from tiny_backbones import TINY_BACKBONES, two_stage_on

pytest.importorskip('torch', minversion='2.11')
SIZE = (112, 192)
BOXES = np.array(
    [[10, 5, 40, 100], [100, 20, 150, 110], [0, 0, 192, 112], [60, 3, 80, 50],
     [61, 2, 79, 48.5]], np.float32
)  # fmt: skip
METADATA = dict(model='mine', model_hash='abc')


GREY = np.full((*SIZE, 3), 114, np.uint8)


def model_of(kind):
    """A model that finds nobody on grey, and many elsewhere."""
    if kind == 'pyramid':
        return lively(pyramid())
    kind, _, variant = kind.partition(' ')
    path = path_of_test_cfg(kind)
    model = detector(kind, **{f'test_cfg.{path}score_thr': 0.0})
    if variant == 'as released' and kind.startswith('alignps'):
        model.bbox_head.test_cfg.query_from = 'detections'
    elif variant == 'in boxes':
        model.bbox_head.test_cfg.query_from = 'boxes'
    elif variant:
        model.bbox_head.inclusive_boxes = True
        model.bbox_head.test_cfg.average_skip = 31
    head = getattr(model, 'bbox_head', None) or model.roi_head
    grey = predict(model, GREY)[1]
    # PSTR's scores come from its queries more than from the picture.
    pstr = kind.startswith('pstr')
    limit = np.quantile(grey, 0.1) if pstr else grey.max()
    head.test_cfg.score_thr = float(limit) + 1e-5
    return model


class Exported:
    """A detector and its file."""

    def __init__(self, kind, folder, query=False):
        self.model = model_of(kind)
        self.path = folder / 'new' / 'model.onnx'
        export_onnx(self.model, self.path, SIZE, query, METADATA)
        self.graph = onnx.load(self.path).graph


@pytest.fixture(scope='module', params=['pcnet/pcnet-light', 'oim/oim'])
def exported(request, tmp_path_factory):
    return Exported(request.param, tmp_path_factory.mktemp('onnx'))


@pytest.fixture(scope='module')
def query(tmp_path_factory):
    return Exported('pcnet/pcnet-light', tmp_path_factory.mktemp('onnx'), True)


def all_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def test_standard_operators_only(exported):
    whole = onnx.load(exported.path)
    onnx.checker.check_model(whole, full_check=True)
    assert [(s.domain, s.version) for s in whole.opset_import] == [('', 20)]
    assert not whole.functions
    nodes = list(all_nodes(whole.graph))
    assert len(nodes) > 100
    assert {node.domain for node in nodes} == {''}
    kinds = {node.op_type for node in nodes}
    assert 'NonMaxSuppression' in kinds
    assert kinds & {'GridSample', 'RoiAlign'}


def test_names_and_shapes(exported, query):
    def shape(value):
        dims = value.type.tensor_type.shape.dim
        return [d.dim_value or d.dim_param for d in dims]

    def shapes(values):
        return {value.name: shape(value) for value in values}

    image = {'image': [1, 3, *SIZE]}
    assert shapes(exported.graph.input) == image
    assert shapes(exported.graph.output) == dict(
        boxes=['n', 4], scores=['n'], embeddings=['n', 128]
    )
    assert shapes(query.graph.input) == {**image, 'boxes': ['q', 4]}
    assert shapes(query.graph.output) == {'embeddings': ['q', 128]}


def test_holds_what_prediction_needs(exported):
    """Neither what only training needs nor paths of this machine."""
    data = exported.path.read_bytes()
    stored = sum(
        np.prod(value.dims) * 4 for value in exported.graph.initializer
    )
    weights = sum(p.numel() * 4 for p in exported.model.parameters())
    assert 0.9 * weights < stored < 1.1 * weights
    assert len(data) < stored + 500_000
    for text in ('site-packages', os.getcwd(), 'prototypes'):
        assert text.encode() not in data
    session = onnxruntime.InferenceSession(exported.path)
    assert session.get_modelmeta().custom_metadata_map == METADATA
    assert os.listdir(exported.path.parent) == ['model.onnx']


def test_says_what_the_detector_says(exported):
    images = [*pictures(2, SIZE), *pictures(2, SIZE, seed=5)]
    found = check_onnx(exported.model, exported.path, images)
    assert found.small
    assert found.people > 40
    assert found.unmatched == 0
    assert (found.boxes, found.scores, found.cosine) < (1e-3, 1e-4, 1e-4)


def test_nobody_in_the_image(exported):
    assert len(predict(exported.model, GREY)[0]) == 0
    session = onnxruntime.InferenceSession(exported.path)
    image = GREY.transpose(2, 0, 1)[None].astype(np.float32)
    shapes = [x.shape for x in session.run(None, {'image': image})]
    assert shapes == [(0, 4), (0,), (0, 128)]
    assert check_onnx(exported.model, exported.path, [GREY]) == Differences()


@pytest.mark.parametrize('num', [1, 2, 3, 5])
def test_given_boxes(query, num):
    images = pictures(2, SIZE)
    found = check_onnx(query.model, query.path, images, BOXES[:num])
    assert found.people == 2 * num
    assert found.cosine < 1e-4
    assert found.small


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind',
    [
        'ugas/ugas-seqnet',
        'coat/coat',
        'seqnext/seqnext-gfn',
        'pcnet/pcnet-multi',
        'pcnet/pcnet-light as released',
        'alignps/alignps as released',
        'alignps/roi-alignps as released',
        'pstr/pstr',
        'pstr/pstr in boxes',
        'pyramid',
    ],
)
def test_other_methods(kind, tmp_path):
    """Two stages, a shallow branch, a filter; three; anchors; levels."""
    exported = Exported(kind, tmp_path)
    assert {n.domain for n in all_nodes(exported.graph)} == {''}
    images = pictures(3, SIZE)
    found = check_onnx(exported.model, exported.path, images)
    assert found.small
    assert found.people > 20
    exported = Exported(kind, tmp_path / 'query', True)
    assert check_onnx(exported.model, exported.path, images, BOXES).small


def test_missing_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    model = detector('pcnet/pcnet-light')
    with pytest.raises(UsageError, match=r'onnxscript: pip .*mmps\[onnx\]'):
        export_onnx(model, tmp_path / 'a.onnx', SIZE)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UsageError, match=r'onnxruntime: pip .*mmps\[onnx\]'):
        check_onnx(model, tmp_path / 'a.onnx', [])
    assert not list(tmp_path.iterdir())


def test_a_file_of_other_weights_differs(exported):
    for kind, value in (('boxes', 2e-3), ('scores', 2e-4), ('cosine', 2e-4)):
        assert not Differences(people=50, **{kind: value}).small
    assert Differences(people=50, unmatched=2).small
    assert not Differences(people=50, unmatched=3).small
    seen = Differences(people=50)
    seen.include(Differences(scores=float('nan')))
    seen.include(Differences(scores=1e-6))
    assert not seen.small
    other = detector('pcnet/pcnet-light', **{'test_cfg.score_thr': 0.0})
    for layer in (other.bbox_head.retina_reg, other.neck.convs[0].conv):
        layer.weight.data += 0.01
    found = check_onnx(other, exported.path, pictures(1, SIZE))
    assert not found.small


@pytest.mark.slow
@pytest.mark.parametrize('backbone', TINY_BACKBONES)
def test_other_backbones(tmp_path, backbone):
    """Windows of Swin and reduced keys of PVTv2, on the map and on RoIs."""
    model = lively(two_stage_on(backbone, 2))
    path = tmp_path / 'model.onnx'
    export_onnx(model, path, SIZE, False, METADATA)
    found = check_onnx(model, path, pictures(2, SIZE))
    assert found.small
    assert found.people > 5
