"""Tests of the exports of a gallery."""

import json

import cv2
import numpy as np
import pytest

from mmps.apis.gallery_export import export_gallery
from mmps.gallery import Frame, GalleryHeader, GalleryRows, create_gallery
from mmps.utils.errors import UsageError


@pytest.fixture
def gallery(tmp_path):
    with create_gallery(tmp_path / 'gallery', GalleryHeader(2)) as gallery:
        yield gallery


def add(gallery, *frames):
    """Add one person per frame, whose row id is 10 and up."""
    num = len(frames)
    first = 10 + len(gallery)
    rows = GalleryRows(
        ids=np.arange(first, first + num), frames=np.arange(num),
        bboxes=[[2, 4, 12, 64]] * num, scores=[0.75] * num,
        embeddings=np.ones((num, 2)), tracks=[4] * num,
    )  # fmt: skip
    gallery.add(frames, rows)


def test_coco_of_a_video(gallery, tmp_path):
    film = Frame('a.mp4#t=1.500000', 'a.mp4#t=1.500000', 15, 'c1', 1.5, 64, 80)
    add(gallery, film, Frame('b.jpg', width=64, height=80))
    assert export_gallery(gallery, tmp_path / 'a.json') == 2
    content = json.loads((tmp_path / 'a.json').read_text())
    image, other = content['images']
    assert (image['video_frame'], image['timestamp']) == (15, 1.5)
    assert {'video_frame', 'timestamp'}.isdisjoint(other)
    person = content['annotations'][0]
    assert person['bbox'] == [2, 4, 10, 60]
    assert (person['gallery_id'], person['track_id']) == ('10', 4)


def test_coco_of_a_gallery_that_grows(gallery, tmp_path, monkeypatch):
    """A frame that is added after the frames were listed has an image."""
    add(gallery, Frame('a.jpg'))
    listed = gallery.list_frames

    def list_frames(*args):
        page = listed(*args)
        if not page:
            add(gallery, Frame('b.jpg'))
        return page

    monkeypatch.setattr(gallery, 'list_frames', list_frames)
    assert export_gallery(gallery, tmp_path / 'a.json') == 2
    content = json.loads((tmp_path / 'a.json').read_text())
    files = [image['file_name'] for image in content['images']]
    assert files == ['a.jpg', 'b.jpg']
    owners = [person['image_id'] for person in content['annotations']]
    assert owners == [0, 1]


def test_contact_sheet_of_frames_that_are_gone(gallery, tmp_path):
    image = np.full((600, 400, 3), (0, 0, 255), np.uint8)
    cv2.imwrite(str(tmp_path / 'red.png'), image)
    add(gallery, Frame('a', str(tmp_path / 'gone.png')))
    assert export_gallery(gallery, tmp_path / 'gone.jpg') == 1
    sheet = cv2.imread(str(tmp_path / 'gone.jpg')).astype(int)
    assert (sheet[..., 2] - sheet[..., 0]).max() < 60
    add(gallery, Frame('b', str(tmp_path / 'red.png'), camera='west'))
    assert export_gallery(gallery, tmp_path / 'both.jpg') == 2
    sheet = cv2.imread(str(tmp_path / 'both.jpg')).astype(int)
    assert (sheet[..., 2] - sheet[..., 0]).max() > 150


def test_large_crops_are_made_smaller(gallery, tmp_path, monkeypatch):
    """A sheet's size does not depend on that of its frames."""
    image = np.full((2000, 1000, 3), (0, 0, 255), np.uint8)
    cv2.imwrite(str(tmp_path / 'red.png'), image)
    rows = GalleryRows(
        ids=[1], frames=[0], bboxes=[[100, 100, 900, 1900]], scores=[0.5],
        embeddings=np.ones((1, 2)),
    )  # fmt: skip
    gallery.add([Frame('a', str(tmp_path / 'red.png'))], rows)
    drawn = []
    from mmps.apis import gallery_export

    draw = gallery_export.draw_contact_sheet
    monkeypatch.setattr(
        gallery_export,
        'draw_contact_sheet',
        lambda people: drawn.extend(people) or draw(people),
    )
    assert export_gallery(gallery, tmp_path / 'a.png') == 1
    ((crop, caption),) = drawn
    assert crop.shape == (220, 100, 3)
    assert caption == '0.50'


def test_nobody_to_draw(gallery, tmp_path):
    with pytest.raises(UsageError, match='nobody to draw'):
        export_gallery(gallery, tmp_path / 'a.png')
    assert not (tmp_path / 'a.png').exists()
