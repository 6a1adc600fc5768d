"""COAT with made-up weights, and the answers of its published code."""

import json

import cv2
import numpy as np
import pytest
import torch

from mmps.apis import PersonModel
from mmps.checkpoints.published import convert
from mmps.checkpoints.reading import load_state
from mmps.utils.config import load_config

from published_weights import DATA, published_weights, read_oracle

ORACLE = read_oracle('coat')
META = json.loads(str(ORACLE['meta']))

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def model():
    """The config for published checkpoints at the answers' size."""
    imported = convert(published_weights(ORACLE))
    cfg = load_config(imported.config)
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert pipeline[1].type == 'mmps.TorchvisionResize'
    pipeline[1].scale = tuple(META['scale'])
    cfg.model.test_cfg.rpn.max_per_img = META['proposals']
    model = PersonModel(cfg, device='cpu', det_thr=0)
    load_state(model.model, dict(imported.state), 'coat')
    # The answers are of pixels in double precision.
    torch.set_default_dtype(torch.double)
    yield model
    torch.set_default_dtype(torch.float)


@pytest.fixture(scope='module', params=META['pictures'])
def case(request):
    """A picture, and what the published code says of it."""
    start = f'{request.param}/'
    picture = cv2.imread(str(DATA / f'{request.param}.jpg'))
    return picture, {
        key.removeprefix(start): value
        for key, value in ORACLE.items()
        if key.startswith(start)
    }


def least_cosine(a, b):
    product = (a * b).sum(1, dtype=np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (product / lengths).min()


@torch.inference_mode()
def test_on_the_way(model, case):
    """Input, the map, and proposals, of which equal ones have no order."""
    picture, want = case
    sample = model.prepare(picture, want['query_boxes'])
    data = model.model.data_preprocessor(
        dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
    )
    inputs, (sample,) = data['inputs'], data['data_samples']
    assert sample.img_shape == tuple(want['input_size'])
    np.testing.assert_allclose(
        inputs[0, :, ::16, ::16], want['input_sample'], atol=1e-4
    )
    (res4,) = model.model.extract_feat(inputs)
    np.testing.assert_allclose(
        res4[0, ::64, ::4, ::4], want['res4_sample'], atol=1e-3, rtol=1e-3
    )
    (found,) = model.model.rpn_head.predict([res4], [sample], rescale=False)
    found = found.bboxes.numpy()
    np.testing.assert_allclose(
        found[np.lexsort(found.T[:2].round(2))],
        want['proposals'][np.lexsort(want['proposals'].T[:2].round(2))],
        atol=0.01,
        rtol=0,
    )


def test_from_the_file(model, case):
    """Detections in order, and the embeddings of the given boxes."""
    picture, want = case
    found, queries = model.find(picture, want['query_boxes'])
    assert len(found.bboxes) == len(want['boxes'])
    np.testing.assert_allclose(found.bboxes, want['boxes'], rtol=0, atol=0.01)
    np.testing.assert_allclose(found.scores, want['scores'], rtol=0, atol=1e-5)
    assert least_cosine(found.embeddings, want['embeddings']) > 1 - 1e-5
    assert least_cosine(queries, want['query_embeddings']) > 1 - 1e-5
    # Two unit vectors side by side; ours are of unit length together.
    np.testing.assert_allclose(
        np.linalg.norm(found.embeddings, axis=1), want['scores'], atol=1e-5
    )
    np.testing.assert_allclose(
        found.embeddings * 2**0.5, want['embeddings'], atol=1e-4
    )
    np.testing.assert_allclose(
        queries * 2**0.5, want['query_embeddings'], atol=1e-4
    )
