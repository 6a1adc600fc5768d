"""PCNet's release on a photograph, on the input of its own code.

The stored answers are in single precision, in which that code differs from
itself on another machine by 2e-5 in a score; test_pcnet_release.py has
answers in double precision, of the whole way from the file on.
"""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmps.apis import get_model
from mmps.checkpoints.published import convert

import pcnet_weights
from published_weights import DATA, listed_weights, read_oracle

pytestmark = pytest.mark.slow
ORACLE = read_oracle('pcnet_photograph')
CASES = json.loads(str(ORACLE['cases']))


def network_input(case):
    """cv2's pixels, BGR less the release's means, padded to 32."""
    image = cv2.imread(str(DATA / case['picture']))
    width, height = case['size']
    image = cv2.resize(image, (width, height)).astype(np.float32)
    image -= np.array([102.9801, 115.9465, 122.7717], np.float32)
    out = np.zeros(case['input_shape'], np.float32)
    out[0, :, :height, :width] = image.transpose(2, 0, 1)
    total = np.abs(out).sum(dtype=np.float64)
    assert total == pytest.approx(case['input_sum'], rel=1e-9)
    return torch.from_numpy(out)


@pytest.mark.parametrize('index', range(len(CASES)))
@torch.inference_mode()
def test_equals_the_official_code(index):
    case = CASES[index]
    listed = listed_weights('pcnet_' + case['yaml'].removesuffix('.yaml'))
    rows = 483 if case['yaml'].startswith('prw') else 5532
    shapes = {
        key: (rows, 256) if key.endswith('.lut') else tuple(value.shape)
        for key, value in listed.items()
    }
    imported = convert(
        pcnet_weights.weights(int(ORACLE['seed']), shapes, case['cls_bias'])
    )
    model = get_model(imported.config)
    model.load_state_dict(imported.state)
    width, height = case['size']
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(height, width),
            ori_shape=(height, width),
            scale_factor=(1.0, 1.0),
        )
    )
    sample.query_instances = InstanceData(bboxes=torch.tensor(case['queries']))
    maps = model.extract_feat(network_input(case))
    (found,) = model.bbox_head.predict(maps, [sample])

    best = np.argsort(-ORACLE[f'{index}/scores'], kind='stable')
    scores, boxes, vectors = (
        ORACLE[f'{index}/{name}'][best]
        for name in ('scores', 'boxes', 'feats')
    )
    assert len(found) == len(scores) == case['detections']
    # Nearly equal scores may stand in another order.
    apart = np.abs(found.bboxes.numpy()[:, None] - boxes[None]).max(2)
    same = apart.argmin(1)
    assert len(set(same.tolist())) == len(same)
    assert apart.min(1).max() < 0.01
    np.testing.assert_allclose(found.scores, scores[same], rtol=0, atol=5e-5)
    cosine = (found.embeddings.numpy() * vectors[same]).sum(1)
    assert cosine.min() > 1 - 1e-5
    queries = sample.query_instances.embeddings.numpy()
    assert (queries * ORACLE[f'{index}/query_feats']).sum(1).min() > 1 - 1e-5
