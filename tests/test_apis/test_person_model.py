import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmps.apis.person_model import PersonModel
from mmps.testing import DispatchedOperators
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from painted import paint_frame

SMALL = {'model.test_cfg.score_thr': 0.0, 'model.test_cfg.max_per_img': 6}


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    cfg = load_config('configs/pcnet/pcnet_r18_scenes.py', SMALL)
    return PersonModel(cfg, det_thr=0.0)


def images(*sizes):
    return [paint_frame([(0, 60, 90), (2, 150, 80)], size=s)[0] for s in sizes]


def test_threshold_of_scores_is_that_of_the_metric():
    named = 'configs/alignps/alignps_r18_scenes.py'
    assert PersonModel(named, device='cpu').det_thr == 0.2
    assert PersonModel(named, device='cpu', det_thr=0.7).det_thr == 0.7
    cfg = load_config(named)
    cfg.pop('test_evaluator')
    assert PersonModel(cfg, device='cpu').det_thr == 0.5


def test_boxes_are_in_pixels_of_the_image(model):
    for size in ((384, 216), (768, 432), (200, 300)):
        (found,) = model.detect(images(size))
        assert 1 <= len(found) <= 6
        boxes = found.bboxes
        assert (boxes >= 0).all()
        assert (boxes <= [*size, *size]).all()
        # It is about the whole image, not about the input's size.
        assert boxes[:, 2:].max(0).max() > 0.5 * min(size)
        assert (np.diff(found.scores) <= 0).all()
        norms = np.linalg.norm(found.embeddings, axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_a_box_is_embedded_as_where_it_is(model):
    (image,) = images((384, 216))
    boxes = np.array([[40, 60, 80, 150], [130, 70, 170, 150]])
    both = model.find(image, boxes)[1]
    swapped = model.find(image, boxes[::-1])[1]
    np.testing.assert_allclose(both, swapped[::-1], atol=1e-5)
    assert both.shape == (2, 128)
    assert not np.allclose(both[0], both[1])


def test_neighbours_in_a_batch_change_nothing(model):
    several = images((384, 216), (768, 432), (200, 300), (384, 216))
    alone = [model.detect([image])[0] for image in several]
    together = model.detect(several)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.bboxes, other.bboxes, atol=1e-2)
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=1e-4)


def test_threshold_of_scores(model):
    (found,) = model.detect(images((384, 216)))
    middle = float(np.median(found.scores))
    model.det_thr = middle
    try:
        (fewer,) = model.detect(images((384, 216)))
    finally:
        model.det_thr = 0.0
    assert len(fewer) == (found.scores >= middle).sum() < len(found)


def test_a_crop_is_embedded_like_a_person_in_a_frame(model):
    (image,) = images((384, 216))
    crop = cv2.resize(image[60:150, 40:80], (60, 135))
    frame = np.full((405, 720, 3), 114, np.uint8)
    frame[135:270, 330:390] = crop
    box = np.array([[330, 135, 390, 270]])
    np.testing.assert_allclose(
        model.embed_crop(crop), model.find(frame, box)[1][0], atol=1e-5
    )


def test_memory_order_of_the_config(model):
    """The hook that trains in channels-last order holds here, too."""
    weight = model.model.backbone.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    cfg = load_config('configs/pcnet/pcnet_r18_scenes.py', SMALL)
    cfg.custom_hooks = []
    plain = PersonModel(cfg, det_thr=0.0)
    plain.model.load_state_dict(model.model.state_dict())
    assert plain.model.backbone.conv1.weight.is_contiguous()
    boxes = np.array([[40, 60, 80, 150]])
    (image,) = images((384, 216))
    ours, theirs = model.find(image, boxes), plain.find(image, boxes)
    np.testing.assert_allclose(ours[0].bboxes, theirs[0].bboxes, atol=1e-2)
    np.testing.assert_allclose(
        ours[0].embeddings, theirs[0].embeddings, atol=1e-4
    )
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-4)


def test_header_names_model_and_metric(model):
    header = model.header(dtype='float16')
    assert (header.dim, header.metric) == (128, 'cosine')
    assert (header.model, header.dtype) == ('pcnet_r18_scenes', 'float16')
    assert header.model_hash == model.weights_hash


def test_weighted_embeddings_are_compared_as_they_are():
    cfg = load_config(
        'configs/nae/nae_r18_scenes.py', {'model.test_cfg.rcnn.score_thr': 0.0}
    )
    model = PersonModel(cfg, det_thr=0.0)
    assert model.header().metric == 'ip'
    (found,) = model.detect(images((384, 216)))
    norms = np.linalg.norm(found.embeddings, axis=1)
    np.testing.assert_allclose(norms, found.scores, atol=1e-5)


def test_weights_come_from_the_checkpoint(model, tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=model.model.state_dict()), path)
    cfg = load_config('configs/pcnet/pcnet_r18_scenes.py', SMALL)
    again = PersonModel(cfg, path, det_thr=0.0)
    assert again.weights_hash == model.weights_hash
    for one, other in zip(
        model.detect(images((384, 216))), again.detect(images((384, 216)))
    ):
        np.testing.assert_array_equal(one.embeddings, other.embeddings)


def test_what_is_no_person_search_model_is_refused():
    cfg = load_config('configs/pcnet/pcnet_r18_scenes.py')
    plain = Config(cfg.to_dict())
    plain.pop('test_dataloader')
    with pytest.raises(UsageError, match='test_dataloader'):
        PersonModel(plain)
    odd = Config(cfg.to_dict())
    odd.test_dataloader.dataset.pipeline = []
    with pytest.raises(UsageError, match='PackPersonSearchInputs'):
        PersonModel(odd)
    with pytest.raises(UsageError, match='does not exist'):
        PersonModel('configs/nothing.py')


@pytest.mark.parametrize('device', ['foo', 'cuda:99', 'cpu:x'])
def test_device_that_is_not_there(device):
    """With and without CUDA, and before weights are read."""
    config = 'configs/pcnet/pcnet_r18_scenes.py'
    with pytest.raises(UsageError, match=f'device {device}: cannot be used'):
        PersonModel(config, 'none.pth', device)


def test_one_copy_from_the_device_per_image(model, monkeypatch):
    rows = torch.rand(4, 6)
    sample = DetDataSample(
        pred_instances=InstanceData(
            bboxes=rows[:, :4],
            scores=torch.tensor([0.9, 0.5, 0.4, 0.1]),
            embeddings=rows.bfloat16(),
        ),
        query_instances=InstanceData(embeddings=rows[:2]),
    )
    copies = []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor, 'cpu', lambda t: copies.append(t) or cpu(t)
    )
    monkeypatch.setattr(model, 'det_thr', 0.4)
    with DispatchedOperators() as operators:
        found, queries = model._unpack(sample)
    assert (len(copies), operators.waits) == (1, 0)
    np.testing.assert_array_equal(found.bboxes, rows[:3, :4])
    np.testing.assert_array_equal(found.scores, np.float32([0.9, 0.5, 0.4]))
    np.testing.assert_array_equal(
        found.embeddings, rows[:3].bfloat16().float()
    )
    np.testing.assert_array_equal(queries, rows[:2])
