"""Tests of the journeys of docs/architecture.md: functions in their order."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmps.apis import PersonSearcher, get_model
from mmps.engine.launch import build_runner
from mmps.gallery import Frame, GalleryRows, create_gallery
from mmps.utils.config import load_config
from mmps.utils.part_imports import import_parts

from journeys import JOURNEYS, CallRecorder
from painted import SIZE, PaintedPeopleModel, paint_frame
from small_sets import write_scenes

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/{name}.py'
loader = dict(
    num_workers=0, persistent_workers=False, batch_size=2,
    dataset=dict(data_root='{data}'))
train_dataloader = loader
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = loader
train_cfg = dict(max_iters=1)
default_hooks = dict(checkpoint=dict(save_best=None))
visualizer = dict(vis_backends=[])
work_dir = '{work}'
"""


def recorder(number: int) -> CallRecorder:
    """Of the Python steps of a journey."""
    return CallRecorder(names_of(number))


def names_of(number: int) -> list[str]:
    return [
        step.function if step.file == 'mmdet' else
        f'{step.module}.{step.function}'
        for step in JOURNEYS[number - 1]
        if not step.file.endswith('.js')
    ]  # fmt: skip


def of_other_detectors(number: int, stages: str) -> set[str]:
    """Steps whose text says that they belong to ``stages``."""
    return {
        f'{step.module}.{step.function}'
        for step in JOURNEYS[number - 1]
        if step.text.startswith(stages)
    }


@pytest.fixture(scope='module')
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('journey') / 'scenes'
    return write_scenes(folder, size=(384, 216), heights=(0.2, 0.6))


@pytest.mark.parametrize(
    ('name', 'others'),
    [
        ('pcnet/pcnet_r18_scenes', 'Two stages:'),
        ('oim/oim_r18_scenes', 'One stage:'),
    ],
)
def test_a_frame_to_the_loss_and_a_query_to_the_metric(
    scenes, tmp_path, name, others
):
    """Between them, both kinds of detectors take every step."""
    import_parts()
    config = tmp_path / 'config.py'
    work = tmp_path / 'work'
    config.write_text(
        CONFIG.format(root=ROOT, name=name, data=scenes, work=work)
    )
    with recorder(1) as training:
        runner = build_runner(load_config(config))
        runner.train()
    with recorder(2) as testing:
        runner.test()
    for number, found in ((1, training), (2, testing)):
        left_out = of_other_detectors(number, others)
        wanted = [x for x in names_of(number) if x not in left_out]
        assert found.called == wanted
        assert left_out


def test_an_upload_to_its_answers(tmp_path):
    testclient = pytest.importorskip('fastapi.testclient')
    from mmps.web import create_app

    model = PaintedPeopleModel()
    image, boxes = paint_frame([(0, 120, 180), (1, 320, 150)])
    gallery = create_gallery(tmp_path / 'gallery', model.header())
    searcher = PersonSearcher(model, gallery=gallery)
    rows = GalleryRows(
        ids=[1, 2], frames=[0, 0], bboxes=boxes, scores=np.ones(2),
        embeddings=searcher.embed(image, boxes),
    )  # fmt: skip
    gallery.add([Frame('a.png', 'a.png', -1, 'hall', 1.0, *SIZE)], rows)
    data = cv2.imencode('.png', image)[1].tobytes()
    app = create_app(searcher, gallery, allowed_hosts=('testserver',))
    with recorder(3) as found, testclient.TestClient(app) as client:
        upload = client.post('/api/uploads', content=data).json()
        query = dict(upload=upload['id'], bbox=upload['people'][0]['bbox'])
        answer = client.post('/api/search', json=dict(queries=[query])).json()
    assert len(answer['matches']) == 2
    assert found.called == names_of(3)


def test_a_checkpoint_to_its_model(tmp_path):
    name = 'pcnet_r18_scenes'
    path = tmp_path / 'weights.pth'
    torch.save(get_model(name).state_dict(), path)
    with recorder(4) as found:
        get_model(name, path)
    assert found.called == names_of(4)
