"""Tests of the examples of docs/mixing.md."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmps.models.losses import FCLoss
from mmps.models.memories import AdaptiveMomentumUpdate, IdentityMemory
from mmps.registry import MODELS
from mmps.testing import build, demo_search_samples, training_loss

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r'^```python\n(.*?)^```',
    (ROOT / 'docs' / 'mixing.md').read_text(),
    re.DOTALL | re.MULTILINE,
)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Load the n-th Python block as a config beside those of the project."""
    (tmp_path / 'my').mkdir()
    for folder in (ROOT / 'configs').iterdir():
        (tmp_path / folder.name).symlink_to(folder)

    def load(n):
        file = tmp_path / 'my' / f'block{n}.py'
        file.write_text(BLOCKS[n])
        return Config.fromfile(file)

    monkeypatch.syspath_prepend(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield load


def small(model):
    """The R50 + FPN models of the page, small enough for a test."""
    model.backbone.update(depth=18, init_cfg=None, norm_eval=False)
    model.neck.in_channels = [64, 128, 256, 512]
    model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=30)
    model.test_cfg.rpn.update(nms_pre=200, max_per_img=20)
    model.test_cfg.rcnn.score_thr = 0.0
    model.roi_head.reid_head.memory.update(num_ids=6, queue_size=8)
    return model


def test_there_are_blocks():
    assert len(BLOCKS) == 7


def test_swapped_loss(page):
    head = MODELS.build(page(0).model.bbox_head)
    assert isinstance(head.loss_reid, FCLoss)


def test_swapped_rule(page):
    cfg = page(1)
    rule = cfg.model.roi_head.reid_head.memory['update']
    assert isinstance(MODELS.build(rule), AdaptiveMomentumUpdate)
    assert len(cfg.model.roi_head.bbox_head) == 2


def test_loss_of_ones_own(page, tmp_path):
    (tmp_path / 'my_losses.py').write_text(BLOCKS[2])
    cfg = page(3)
    loss = MODELS.build(cfg.model.bbox_head.loss_reid)
    torch.manual_seed(0)
    seen, x = torch.nn.functional.normalize(torch.randn(2, 4, 8), dim=2)
    memory = IdentityMemory(3, 8, queue_size=1)
    person_ids = torch.tensor([0, 1, -1, 2])
    memory.update(seen, person_ids)
    value = loss(memory(x), person_ids)
    rows = x @ seen[[0, 1, 3, 2]].T * 30 * 3**0.5
    want = sum(
        torch.logsumexp(row, 0) - row[i]
        for i, row in enumerate(rows[[0, 1, 3]])
    )
    # PCNet's mean is over the unlabelled, too.
    assert want > 1
    torch.testing.assert_close(value, want / 4)


@pytest.mark.parametrize(('block', 'stages'), [(4, 1), (5, 3)])
def test_reid_head_on_mmdets_pyramids(page, block, stages):
    """Faster R-CNN and Cascade R-CNN with FPN and mmdet's box heads."""
    torch.manual_seed(0)
    model = build(small(page(block).model)).train()
    assert model.roi_head.num_stages == stages
    inputs, samples = demo_search_samples((3, 2))
    losses = model.loss(inputs, samples)
    training_loss(losses).backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    # mmdet freezes the stem and the first stage.
    assert all(n.startswith('backbone.') for n in unused)
    memory = model.roi_head.reid_head.memory
    assert memory.prototypes_filled.any()

    model.eval()
    inputs, samples = demo_search_samples((3, 2), queries=(1, 0), scale=0.5)
    with torch.no_grad():
        results = model.predict(inputs, samples)
    for result in results:
        vectors = result.pred_instances.embeddings
        assert len(vectors) > 0
        torch.testing.assert_close(
            vectors.norm(dim=1), torch.ones(len(vectors))
        )
    assert results[0].query_instances.embeddings.shape == (1, 256)


def test_another_backbone(page):
    """NAE, with the numbers of Swin-T in the place of ResNet's."""
    model = page(6).model
    assert model.backbone.type == 'mmps.SemanticSwin'
    head = model.roi_head
    assert head.bbox_head.in_channels == 768
    assert head.bbox_head.classifier.type == 'mmps.NormClassifier'
    assert page(6).optim_wrapper.optimizer.type == 'AdamW'
    model.train_cfg.rpn_proposal.max_per_img = 8
    model.train_cfg.rcnn.sampler.num = 8
    model.test_cfg.rpn.max_per_img = 8
    model.test_cfg.rcnn.score_thr = 0.0
    head.reid_head.memory.update(num_ids=6, queue_size=8)
    model.backbone.init_cfg = None
    head.shared_head.backbone.init_cfg = None
    model = build(model).train()
    samples = demo_search_samples((2, 1), (96, 96))
    training_loss(model.loss(*samples)).backward()
    weights = dict(model.backbone.named_parameters())
    assert all(weight.grad is not None for weight in weights.values())
    assert model.roi_head.shared_heads[0].layers.norm.weight.grad is not None
    model.eval()
    with torch.no_grad():
        found = model.predict(*samples)
    assert found[0].pred_instances.embeddings.shape[1] == 256
