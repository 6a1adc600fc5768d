"""Damaged requests to the web API; needs mmps[web] and httpx."""

import json
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmps.apis.person_searcher import PersonSearcher
from mmps.gallery import Frame, GalleryRows, create_gallery, stable_id

from .checks import digest, require
from painted import PaintedPeopleModel, paint_frame

_PEOPLE = [(0, 120, 180), (1, 320, 150), (2, 520, 170)]
_FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="file"; '
    b'filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n--edge--\r\n'
)


class RequestRefusedError(Exception):
    """The server's answer to a request that is wrong."""


def write_requests(folder: Path) -> None:
    """Write the bodies of a search, an upload and a form."""
    frame = str(stable_id('frame'))
    search = {
        'queries': [
            {'frame': frame, 'bbox': [60.0, 20, 200, 200]},
            {'person': str(stable_id('frame#1'))},
        ],
        'k': 5,
        'filters': {'cameras': ['hall'], 'after': 0.5, 'min_score': 0.1},
        'rerank': True,
        'expand': 1,
        'threshold': 0.1,
        'keep_own': True,
    }
    (folder / 'search.json').write_text(json.dumps(search))
    image, _ = paint_frame([(3, 100, 150)], size=(200, 180))
    picture = cv2.imencode('.jpg', image)[1].tobytes()
    (folder / 'upload.jpg').write_bytes(picture)
    (folder / 'form.bin').write_bytes(_FORM % picture)


def read_requests(folder: Path) -> str:
    """Send them; returns the answers without the ids of uploads."""
    client = _client()
    answers = []
    for path, name, kind in (
        ('search', 'search.json', 'application/json'),
        ('uploads', 'upload.jpg', 'image/jpeg'),
        ('uploads', 'form.bin', 'multipart/form-data; boundary=edge'),
    ):
        file = folder / name
        body = file.read_bytes() if file.is_file() else b''
        response = client.post(
            f'/api/{path}', content=body, headers={'content-type': kind}
        )
        content = response.json()
        if response.status_code >= 400:
            require(response.status_code < 500, f'status of {name}')
            require(content['error'], 'no reason')
            require(set(content) <= {'error', 'field'}, 'more than an error')
            require(str(folder) not in response.text, 'a path of the server')
            raise RequestRefusedError(f'{name}: {content["error"]}')
        content.pop('id', None)
        answers.append(json.dumps(content, allow_nan=False))
    return digest(answers)


@cache
def _client() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        from fastapi.testclient import TestClient
    from mmps.web import create_app

    model = PaintedPeopleModel()
    root = Path(tempfile.mkdtemp(prefix='mmps-fuzz-web-'))
    gallery = create_gallery(root / 'g', model.header(root=str(root)))
    searcher = PersonSearcher(model, gallery=gallery)
    image, boxes = paint_frame(_PEOPLE)
    cv2.imwrite(str(root / 'frame.png'), image)
    rows = GalleryRows(
        ids=[stable_id(f'frame#{i}') for i in range(len(boxes))],
        frames=np.zeros(len(boxes), int),
        bboxes=boxes,
        scores=np.linspace(0.95, 0.5, len(boxes)),
        embeddings=searcher.embed(image, boxes),
    )
    height, width = image.shape[:2]
    frame = Frame('frame', 'frame.png', -1, 'hall', 7.5, width, height)
    gallery.add([frame], rows)
    app = create_app(searcher, gallery, allowed_hosts=['testserver'])
    client = TestClient(app)
    return client.__enter__()  # one event loop for all requests
