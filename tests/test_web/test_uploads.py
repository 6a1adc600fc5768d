"""Tests of uploads: images of every kind, and files that are none."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmps.apis.person_searcher import Detections
from mmps.web import WebLimits
from mmps.web.images import to_jpeg
from mmps.web.uploads import Upload, UploadStore

SMALL = WebLimits(upload_bytes=60_000, upload_pixels=300_000)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(name + data)
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', crc)


def png(width: int, height: int, *extra: bytes) -> bytes:
    """A tiny PNG that says it is of any size."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b''.join(
        [b'\x89PNG\r\n\x1a\n', chunk(b'IHDR', header), *extra,
         chunk(b'IDAT', pixels), chunk(b'IEND', b'')]
    )  # fmt: skip


def huge_jpeg(picture: bytes) -> bytes:
    """A JPEG whose header says 65000 x 65000."""
    at = picture.index(b'\xff\xc0') + 5
    return picture[:at] + struct.pack('>HH', 65000, 65000) + picture[at + 4 :]


@pytest.fixture
def image(picture) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert('RGB')


def post(client, data, **options):
    return client.post('/api/uploads', content=data, **options)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP'])
@pytest.mark.parametrize('form', [False, True])
def test_kinds(client, image, kind, form):
    data = encoded(image, kind)
    if form:
        # Names and types that a client gives do not matter.
        files = {'file': ('../../etc/passwd', data, 'text/html')}
        response = client.post('/api/uploads', files=files)
    else:
        response = post(client, data, headers={'content-type': 'text/plain'})
    assert response.status_code == 201
    body = response.json()
    assert (body['width'], body['height']) == (640, 360)
    assert len(body['people']) == 3


@pytest.mark.parametrize('mode', ['L', 'P', 'RGBA', 'LA', '1', 'CMYK', 'I;16'])
def test_modes(client, image, mode):
    if mode == 'I;16':
        grey = np.asarray(image.convert('L')).astype(np.uint16) * 257
        data = encoded(Image.fromarray(grey), 'PNG')
    else:
        kind = 'JPEG' if mode == 'CMYK' else 'PNG'
        data = encoded(image.convert(mode), kind)
    response = post(client, data)
    assert response.status_code == 201
    again = client.get(f'/api/uploads/{response.json()["id"]}/image').content
    shown = np.asarray(Image.open(io.BytesIO(again)).convert('L'))
    grey = np.asarray(image.convert('L')).astype(int)
    # Bright and dark are where they were; 1 bit is dithered.
    assert np.abs(cv2.blur(shown, (9, 9)) - cv2.blur(grey * 1.0, (9, 9))
                  ).mean() < 12  # fmt: skip


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation(client, image, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = orientation >= 5
    marked = image.copy()
    marked.paste((255, 0, 0), (0, 0, 80, 80))
    response = post(client, encoded(marked, 'JPEG', exif=exif, quality=95))
    body = response.json()
    size = (360, 640) if turned else (640, 360)
    assert (body['width'], body['height']) == size
    shown = client.get(f'/api/uploads/{body["id"]}/image').content
    red = np.asarray(Image.open(io.BytesIO(shown))).astype(int)
    corners = [red[20, 20], red[20, -20], red[-20, -20], red[-20, 20]]
    place = {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 1, 7: 2, 8: 3}[orientation]
    at = [int(c[0] > 200 and c[1] < 60) for c in corners]
    assert at == [int(i == place) for i in range(4)]


def test_first_frame_of_an_animation(client, image):
    frames = [Image.new('RGB', image.size, 'navy')] * 2
    for kind in ('WEBP', 'PNG'):
        data = encoded(image, kind, save_all=True, append_images=frames)
        assert len(post(client, data).json()['people']) == 3


def test_what_is_kept_is_not_what_is_served(client, image):
    exif = Image.Exif()
    exif[0x010E] = 'where I live <script>'
    data = encoded(image, 'JPEG', exif=exif)
    key = post(client, data).json()['id']
    shown = client.get(f'/api/uploads/{key}/image').content
    assert b'where I live' in data
    assert b'where I live' not in shown


@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
def test_broken_exif_is_no_reason(client, image):
    data = encoded(image, 'JPEG', exif=b'Exif\0\0II*\0' + bytes(range(60)))
    assert post(client, data).status_code == 201


@pytest.mark.parametrize('kind', ['GIF', 'BMP', 'TIFF', 'PPM', 'ICO', 'PDF'])
def test_other_kinds_are_refused(client, image, kind):
    response = post(client, encoded(image, kind))
    assert response.status_code == 415
    assert response.json()['error'].startswith('expected a JPEG')


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'\0',
        b'junk' * 1000,
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'%!PS-Adobe-3.0 EPSF-3.0',
        b'RIFF\0\0\0\0WAVE',
        b'GIF89a;\xff\xd8\xff',
    ],
)
def test_junk_is_refused(client, data):
    assert post(client, data).status_code == 415
    response = client.post('/api/uploads', files={'file': ('x.jpg', data)})
    assert response.status_code in (415, 422)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP'])
@pytest.mark.parametrize('share', [0.02, 0.5, 0.97])
def test_truncated(client, image, kind, share):
    data = encoded(image, kind)
    response = post(client, data[: int(share * len(data))])
    assert response.status_code == 422
    assert 'broken' in response.json()['error']


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP'])
def test_flipped_bytes(client, image, kind):
    data = encoded(image, kind)
    rng = np.random.default_rng(0)
    for _ in range(40):
        bad = np.frombuffer(data, np.uint8).copy()
        bad[rng.integers(0, 200, 3)] = rng.integers(0, 256, 3)
        response = post(client, bad.tobytes())
        assert response.status_code in (201, 413, 415, 422)


@pytest.mark.parametrize('check', [None, 10_000])
def test_declared_size(client, picture, monkeypatch, check):
    # Pillow's own limit may be set or lifted by others.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', check)
    for data in (png(50_000, 50_000), huge_jpeg(picture)):
        response = post(client, data)
        assert response.status_code == 413
        assert 'pixels' in response.json()['error']


def test_bombs_are_not_decoded(client, monkeypatch):
    loads = []
    monkeypatch.setattr(
        Image.Image, 'load', lambda self: loads.append(self.size)
    )
    assert post(client, png(30_000, 30_000)).status_code == 413
    assert loads == []


def test_no_other_decoder_is_tried(client, image, monkeypatch):
    tried = []
    real = Image.open

    def note(file, formats=None):
        tried.append(formats)
        return real(file, formats=formats)

    monkeypatch.setattr(Image, 'open', note)
    for kind in ('JPEG', 'PNG', 'WEBP'):
        assert post(client, encoded(image, kind)).status_code == 201
    assert tried == [('JPEG',), ('PNG',), ('WEBP',)]


def test_text_that_inflates(client):
    text = b'key\0\0' + zlib.compress(bytes(50_000_000))
    response = post(client, png(64, 64, chunk(b'zTXt', text)))
    assert response.status_code == 422


def test_pixel_limit_is_exact(world, make_client):
    client = make_client(world, limits=SMALL)
    blank = Image.new('RGB', (600, 500))
    assert post(client, encoded(blank, 'PNG')).status_code == 201
    blank = Image.new('RGB', (601, 500))
    assert post(client, encoded(blank, 'PNG')).status_code == 413


@pytest.mark.parametrize('size', [(15, 200), (200, 15), (20, 2001), (1, 1)])
def test_thin_pictures(client, size):
    response = post(client, encoded(Image.new('RGB', size), 'PNG'))
    assert response.status_code == 422


def in_pieces(data: bytes, taken: list[int]):
    """A body without a Content-Length."""
    for start in range(0, len(data), 10_000):
        taken.append(start)
        yield data[start : start + 10_000]


@pytest.mark.parametrize(
    'way', ['length', 'no length', 'wrong length', 'form']
)
def test_too_many_bytes(world, make_client, way):
    client = make_client(world, limits=SMALL)
    data = b'\xff\xd8\xff' + bytes(10**6)
    if way == 'length':
        response = post(client, data)
    elif way == 'form':
        response = client.post('/api/uploads', files={'file': data})
    else:
        length = {'content-length': '10'} if way == 'wrong length' else {}
        taken: list[int] = []
        response = post(client, in_pieces(data, taken), headers=length)
    assert response.status_code == 413
    assert 'larger' in response.json()['error']


def test_byte_limit_is_exact(world, make_client, picture):
    data = picture + bytes(SMALL.upload_bytes - len(picture))
    client = make_client(world, limits=SMALL)
    assert post(client, data).status_code == 201
    assert post(client, data + b'\0').status_code == 413
    files = {'file': data}
    assert client.post('/api/uploads', files=files).status_code == 201
    files = {'file': data + b'\0'}
    assert client.post('/api/uploads', files=files).status_code == 413


@pytest.mark.parametrize(
    ('kind', 'body'),
    [
        ('multipart/form-data', b'x'),
        ('multipart/form-data; boundary=a', b'x'),
        ('multipart/form-data; boundary=a', b'--a\r\n\r\n\r\n--a--\r\n'),
        (
            'multipart/form-data; boundary=a',
            b'--a\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
            b'text\r\n--a--\r\n',
        ),
        ('multipart/form-data; boundary=a', b''),
    ],
)
def test_bad_forms(client, kind, body):
    response = post(client, body, headers={'content-type': kind})
    assert response.status_code in (400, 422)
    assert response.json()['error']


def test_two_files(client, picture):
    files = [('file', picture), ('file', picture)]
    assert client.post('/api/uploads', files=files).status_code == 400


def test_old_uploads_are_dropped(world, make_client, picture):
    client = make_client(world, limits=WebLimits(uploads=2))
    keys = [post(client, picture).json()['id'] for _ in range(3)]
    assert len(set(keys)) == 3
    statuses = [
        client.get(f'/api/uploads/{key}/image').status_code for key in keys
    ]
    assert statuses == [404, 200, 200]
    query = {'upload': keys[0], 'bbox': [0, 0, 50, 50]}
    response = client.post('/api/search', json={'queries': [query]})
    assert response.status_code == 404
    assert response.json()['field'] == 'queries.0.upload'


def test_store_is_bounded_in_bytes_and_time():
    now = [0.0]
    limits = WebLimits(uploads=10, stored_bytes=1000, stored_seconds=60)
    store = UploadStore(limits, lambda: now[0])
    nobody = Detections(*(np.zeros((0, n), np.float32) for n in (4, 1, 8)))
    keys = [store.add(Upload(bytes(400), 9, 9, nobody)) for _ in range(3)]
    assert all(len(key) == 22 for key in keys)
    assert len(store) == 2
    now[0] = 59
    late = store.add(Upload(bytes(400), 9, 9, nobody))
    assert store.get(keys[2]).width == 9
    now[0] = 61
    assert store.get(late).width == 9
    assert len(store) == 1
    for key in keys:
        with pytest.raises(Exception, match='no such upload'):
            store.get(key)


def test_picture_too_large_for_a_jpeg():
    with pytest.raises(ValueError, match='no JPEG of shape'):
        to_jpeg(np.zeros((1, 70_000, 3), np.uint8))
