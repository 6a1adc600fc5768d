"""SeqNeXt and its gallery filter against what their own code answered.

In double precision, from the files of two frames on, with made-up weights that
went through the importer; see tests/data/published/README.md.
"""

import json
from functools import cached_property

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from mmps.apis import get_model
from mmps.checkpoints.published import convert
from mmps.checkpoints.reading import load_state
from mmps.structures import scene_scores
from mmps.utils.config import load_config

from published_weights import DATA, published_weights, read_oracle

pytestmark = pytest.mark.slow


class Case:
    """A published model in mmps, and the answers of its own code."""

    def __init__(self, name):
        self.official = read_oracle(name)
        self.meta = json.loads(str(self.official['meta']))
        imported = convert(published_weights(self.official))
        self.config = load_config(f'mmps::seqnext/{imported.config}.py')
        self.model = get_model(imported.config).eval()
        load_state(self.model, dict(imported.state), name)
        self.model.double()
        # As in the oracle, to be quicker.
        self.model.rpn_head.test_cfg.max_per_img = self.meta['proposals']

    @cached_property
    def found(self):
        return {name: self.find(name) for name in self.meta['pictures']}

    @torch.inference_mode()
    def find(self, name):
        """Input, map, proposals and sample of a frame, from its file on."""
        pipeline = self.config.test_pipeline
        assert pipeline[1].scale == (1500, 900)
        pipeline[1].scale = tuple(self.meta['scale'])
        path = DATA / f'{name}.jpg'
        height, width = cv2.imread(str(path)).shape[:2]
        frame = dict(
            img_path=str(path),
            img_id=0,
            frame_name=name,
            height=height,
            width=width,
            gt_bboxes=np.zeros((0, 4), np.float32),
            person_ids=np.zeros(0, int),
            raw_person_ids=np.zeros(0, int),
            query_bboxes=self.official[f'{name}/query_boxes'],
            query_indices=np.arange(len(self.official[f'{name}/query_boxes'])),
        )
        with DefaultScope.overwrite_default_scope('mmdet'):
            packed = Compose(pipeline)(frame)
        pipeline[1].scale = (1500, 900)
        sample = packed['data_samples']
        preprocess = self.model.data_preprocessor
        inputs = preprocess(
            dict(inputs=[packed['inputs']], data_samples=[sample])
        )['inputs'].double()
        x = self.model.extract_feat(inputs)
        proposals = self.model.rpn_head.predict(x, [sample], rescale=False)
        boxes = proposals[0].bboxes.numpy().copy()
        (result,) = self.model.roi_head.predict(
            x, proposals, [sample], rescale=True
        )
        return inputs, x[0], boxes, result, sample


@pytest.fixture(scope='module', params=['seqnext', 'seqnext_r50'])
def case(request):
    return Case(request.param)


def least_cosine(a, b):
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return ((a * b).sum(1) / lengths).min()


@pytest.mark.parametrize('name', ['scene-wide', 'scene-high'])
def test_people_are_those_of_the_official_code(case, name):
    want = {
        key.partition('/')[2]: value
        for key, value in case.official.items()
        if key.startswith(f'{name}/')
    }
    inputs, res4, proposals, result, sample = case.found[name]
    assert sample.img_shape == tuple(want['input_size'])
    np.testing.assert_allclose(
        inputs[0, :, ::32, ::32], want['input_sample'], atol=1e-5
    )
    np.testing.assert_allclose(
        res4[0, ::32, ::4, ::4], want['res4_sample'], atol=1e-4, rtol=1e-4
    )
    # Equal logits may stand in any order.
    order, theirs = (
        p[np.lexsort(p.T[:2].round(2))] for p in (proposals, want['proposals'])
    )
    np.testing.assert_allclose(order, theirs, rtol=0, atol=0.01)
    assert len(result) == len(want['boxes'])
    np.testing.assert_allclose(result.bboxes, want['boxes'], rtol=0, atol=0.01)
    np.testing.assert_allclose(
        result.scores, want['scores'], rtol=0, atol=1e-5
    )
    assert least_cosine(result.embeddings, want['embeddings']) > 1 - 1e-5
    np.testing.assert_allclose(
        result.embeddings.norm(dim=1), want['scores'], atol=1e-5
    )
    queries = sample.query_instances.embeddings
    assert least_cosine(queries, want['query_embeddings']) > 1 - 1e-5


def test_scenes_are_those_of_the_official_code(case):
    names = case.meta['pictures']
    samples = [case.found[name][-1] for name in names]
    scenes = torch.stack([s.scene_embedding for s in samples])
    want = [case.official[f'{name}/scene_embedding'] for name in names]
    assert least_cosine(scenes, want) > 1 - 1e-5
    filters = torch.cat([s.query_instances.scene_filters for s in samples])
    np.testing.assert_allclose(
        scene_scores(filters.numpy(), scenes.numpy()),
        case.official['gfn_scores'],
        atol=1e-5,
    )
