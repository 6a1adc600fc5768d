"""A gallery of painted people, and the searcher that finds them."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmps.apis.person_searcher import PersonSearcher
from mmps.gallery import Frame, GalleryRows, create_gallery, stable_id

from painted import (
    COLOURS,
    SIZE,
    PaintedPeopleModel,
    paint_frame,
)

CAMERAS = 'entrance', 'hall', ''


def add_frames(world, count: int, start: int = 0, unix: float = 0.0) -> None:
    """Add frames in which two to four people walk by."""
    rng = np.random.default_rng(start)
    frames, rows = [], []
    for number in range(start, start + count):
        camera = number % 3
        who = rng.permutation(len(COLOURS))[: 2 + number % 3]
        people = [
            (int(p), 90 + 150 * i + int(rng.integers(-20, 20)),
             int(rng.integers(130, 190)))
            for i, p in enumerate(who)
        ]  # fmt: skip
        image, boxes = paint_frame(people, camera)
        name = f'secret/{CAMERAS[camera] or "x"}/{number:06d}.png'
        path = world.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
        time = math.nan if camera == 2 else unix + 7.5 * number
        part = GalleryRows(
            ids=[stable_id(f'{name}#{i}') for i in range(len(boxes))],
            frames=np.full(len(boxes), len(frames)),
            bboxes=boxes,
            scores=np.linspace(0.95, 0.5, len(boxes)),
            embeddings=world.searcher.embed(image, boxes),
        )
        world.who.update(zip(map(str, part.ids), map(int, who)))
        frames.append(Frame(name, name, -1, CAMERAS[camera], time, *SIZE))
        rows.append(part)
    if frames:
        world.gallery.add(frames, GalleryRows.join(rows))


@pytest.fixture(scope='session')
def painted(tmp_path_factory) -> Callable[..., SimpleNamespace]:
    """Makes a gallery of so many frames, with its searcher."""

    def make(frames: int, **options) -> SimpleNamespace:
        root: Path = tmp_path_factory.mktemp('web')
        model = PaintedPeopleModel()
        header = model.header(
            model='/srv/secret/painted.py',
            root=str(root),
            threshold=options.pop('threshold', None),
        )
        gallery = create_gallery(root / 'gallery', header)
        made = SimpleNamespace(
            root=root,
            gallery=gallery,
            searcher=PersonSearcher(model, gallery=gallery),
            who={},  # id of a row to the painted person
        )
        add_frames(made, frames, **options)
        return made

    return make


@pytest.fixture(scope='session')
def world(painted) -> SimpleNamespace:
    """30 frames; tests leave them as they are."""
    return painted(30)


@pytest.fixture(scope='session')
def picture() -> bytes:
    """A JPEG with people 0, 1 and 2, who stand from left to right."""
    people = [(0, 120, 180), (1, 320, 150), (2, 520, 170)]
    image, _ = paint_frame(people)
    return cv2.imencode('.jpg', image)[1].tobytes()


@pytest.fixture(scope='session')
def add_more() -> Callable[..., None]:
    """Adds frames to a gallery of ``painted``."""
    return add_frames


@pytest.fixture(scope='session')
def client(world):
    """Of ``world``, with one event loop for all tests."""
    with make_client(world) as client:
        yield client


def make_client(world, **options):
    with warnings.catch_warnings():
        # Starlette would rather have httpx2.
        warnings.simplefilter('ignore')
        from fastapi.testclient import TestClient

    from mmps.web import LOOPBACK_HOSTS, create_app

    options.setdefault('allowed_hosts', (*LOOPBACK_HOSTS, 'testserver'))
    app = create_app(world.searcher, world.gallery, **options)
    client = TestClient(app, raise_server_exceptions=False)
    client.event_hooks['response'].append(check_no_leak)
    return client


def check_no_leak(response) -> None:
    """No answer names a folder of the server, or shows a traceback."""
    response.read()
    for secret in (
        b'secret',
        b'/srv',
        b'pytest-of',
        b'Traceback',
        b'site-packages',
    ):
        assert secret not in response.content


@pytest.fixture(name='make_client', scope='session')
def make_client_fixture():
    """TestClient of an app with options; every answer is looked at."""
    return make_client
