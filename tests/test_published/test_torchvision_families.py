"""Published two-stage methods against what their own code answered.

On rendered scenes, with made-up weights that went through the importer; see
tests/data/published/README.md.
"""

from functools import cache

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmps.apis import PersonModel
from mmps.checkpoints.published import convert
from mmps.checkpoints.reading import load_state

from published_weights import DATA, published_weights, read_oracle

WIDE, HIGH = 'scene-wide', 'scene-high'
WEIGHTED = ('seqnet', 'nae', 'nae_plus', 'nae_plus_fused')

pytestmark = pytest.mark.slow


class Case:
    """A published model in mmps, and the answers of its own code."""

    def __init__(self, name):
        self.name = name
        self.oracle = read_oracle(name)
        imported = convert(published_weights(self.oracle))
        self.model = PersonModel(imported.config, device='cpu', det_thr=0)
        load_state(self.model.model, dict(imported.state), name)
        self.found = cache(self.found)

    def official(self, picture):
        return {
            key.partition('/')[2]: value
            for key, value in self.oracle.items()
            if key.startswith(f'{picture}/')
        }

    def found(self, picture):
        """What the config's pipeline and model make of the file."""
        boxes = self.official(picture)['query_boxes']
        return self.model.find(read(picture), boxes)

    def compare(self, want, boxes, scores, embeddings, queries, px, score):
        """Detections, and the embeddings of the given boxes."""
        assert len(boxes) == len(want['boxes'])
        # Nearly equal scores may stand in another order.
        apart = np.abs(boxes[:, None] - want['boxes']).max(2)
        same = apart.argmin(1)
        assert sorted(same) == list(range(len(same)))
        assert apart.min(1).max() < px
        theirs = want['scores'][same]
        np.testing.assert_allclose(scores, theirs, rtol=0, atol=score)
        assert least_cosine(embeddings, want['embeddings'][same]) > 1 - 1e-5
        assert least_cosine(queries, want['query_embeddings']) > 1 - 1e-5
        np.testing.assert_allclose(
            np.linalg.norm(embeddings, axis=1),
            theirs if self.name in WEIGHTED else 1,
            atol=10 * score,
        )
        np.testing.assert_allclose(
            queries, want['query_embeddings'], atol=10 * score
        )


def read(picture):
    return cv2.imread(str(DATA / f'{picture}.jpg'))


def torchvision_input(pixels, size):
    """(1, 3, H, W) of a picture in BGR, as torchvision makes it."""
    pixels = pixels[:, :, ::-1] / np.float32(255)
    pixels -= np.array([0.485, 0.456, 0.406], np.float32)
    pixels /= np.array([0.229, 0.224, 0.225], np.float32)
    pixels = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
    factor = min(900 / min(pixels.shape[2:]), 1500 / max(pixels.shape[2:]))
    assert [int(side * factor) for side in pixels.shape[2:]] == list(size)
    pixels = F.interpolate(
        pixels, size=tuple(size), mode='bilinear', align_corners=False
    )
    height, width = size
    return F.pad(pixels, (0, -width % 32, 0, -height % 32))


def least_cosine(a, b):
    """Stored embeddings are halves."""
    a, b = (x.astype(np.float64) for x in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return ((a * b).sum(1) / lengths).min()


@pytest.fixture(
    scope='module',
    params=[
        'seqnet',
        'nae',
        'nae_plus',
        'nae_plus_fused',
        'hoim',
        'iidfc',
        'oimnetpp',
    ],
)
def case(request):
    return Case(request.param)


@torch.inference_mode()
def test_on_the_input_of_the_official_code(case):
    want = case.official(WIDE)
    inputs = torchvision_input(read(WIDE), want['input_size'].tolist())
    np.testing.assert_allclose(
        inputs[0, :, ::32, ::32], want['input_sample'], atol=1e-5
    )
    detector = case.model.model
    (res4,) = detector.extract_feat(inputs)
    np.testing.assert_allclose(
        res4[0, ::64, ::4, ::4], want['res4_sample'], atol=1e-3, rtol=1e-3
    )
    sample = case.model.prepare(read(WIDE), want['query_boxes'])
    sample = sample['data_samples']
    proposals = detector.rpn_head.predict([res4], [sample], rescale=False)
    # Equal logits may stand in any order.
    found = proposals[0].bboxes.numpy()
    found = found[np.lexsort(found.T[:2])]
    theirs = want['proposals'][np.lexsort(want['proposals'].T[:2])]
    np.testing.assert_allclose(found, theirs, rtol=0, atol=0.01)
    (result,) = detector.roi_head.predict(
        [res4], proposals, [sample], rescale=True
    )
    case.compare(
        want,
        result.bboxes.numpy(),
        result.scores.numpy(),
        result.embeddings.numpy(),
        sample.query_instances.embeddings.numpy(),
        px=0.01,
        score=1e-5,
    )


@pytest.mark.parametrize('picture', [WIDE, HIGH])
def test_from_the_file(case, picture):
    """The pipeline of the config; it normalizes after resizing, not before."""
    found, queries = case.found(picture)
    case.compare(
        case.official(picture),
        found.bboxes,
        found.scores,
        found.embeddings,
        queries,
        px=0.01,
        score=1e-5,
    )


@pytest.mark.parametrize('case', ['seqnet'], indirect=True, scope='module')
def test_company_for_matching_by_context(case):
    """SeqNet's has unit length; a query stands for its own detections."""
    found, queries = case.found(WIDE)
    want = case.official(WIDE)
    embeddings = found.embeddings / found.scores[:, None]
    same = np.isclose(
        found.bboxes[:, None], want['as_gallery_boxes'][None, 1:], atol=0.02
    ).all(2)
    assert same.any(1).sum() == len(want['as_gallery_boxes']) - 1
    ours, theirs = same.nonzero()
    np.testing.assert_allclose(
        embeddings[ours], want['as_gallery_embeddings'][1:][theirs], atol=5e-4
    )
    np.testing.assert_allclose(
        queries[0], want['as_gallery_embeddings'][0], atol=5e-4
    )
