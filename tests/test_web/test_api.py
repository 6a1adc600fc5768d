"""Tests of the API's answers to well-formed requests."""

import shutil

import cv2
import numpy as np
import pytest

from mmps.apis.person_searcher import MIN_BOX_SIDE


def upload(client, picture: bytes) -> dict:
    response = client.post('/api/uploads', content=picture)
    assert response.status_code == 201, response.text
    return response.json()


def search(client, queries, **options):
    return client.post('/api/search', json={'queries': queries, **options})


def answers(client, queries, **options) -> list[dict]:
    response = search(client, queries, **options)
    assert response.status_code == 200, response.text
    return response.json()['matches']


def pixels(response) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers['content-type'] == 'image/jpeg'
    return cv2.imdecode(np.frombuffer(response.content, np.uint8), 1)


def picture_of(world, frame) -> np.ndarray:
    return cv2.imread(str(world.root / frame.source))


def test_info(client, world):
    info = client.get('/api/info').json()
    assert info['rows'] == world.gallery.count() == len(world.who)
    assert info['frames'] == 30
    assert info['cameras'] == ['', 'entrance', 'hall']
    assert info['model'] == 'painted.py'
    assert info['threshold'] is None
    assert info['limits']['queries'] == 16
    assert info['limits']['box_side'] == MIN_BOX_SIDE


def test_empty_gallery(painted, make_client, picture):
    client = make_client(painted(0))
    assert client.get('/api/info').json()['rows'] == 0
    assert client.get('/api/frames').json() == []
    up = upload(client, picture)
    query = {'upload': up['id'], 'bbox': up['people'][0]['bbox']}
    assert search(client, [query]).json() == {
        'nobody': True, 'threshold': None, 'matches': []
    }  # fmt: skip


def test_frames_in_pages(client, world):
    everything = client.get('/api/frames').json()
    assert len(everything) == 30
    pages = [
        client.get(f'/api/frames?offset={offset}&limit=8').json()
        for offset in (0, 8, 16, 24, 32)
    ]
    assert sum(pages, []) == everything
    assert pages[-1] == []
    for listed, frame in zip(everything, world.gallery.list_frames()):
        assert listed['id'] == str(frame.id)
        assert listed['name'] == frame.name.rsplit('/')[-1]
        assert listed['camera'] == frame.camera
        assert (listed['time'] is None) == np.isnan(frame.time)
        assert (listed['width'], listed['height']) == (640, 360)


def test_ids_are_strings_beyond_javascript(client, world):
    rows = [int(row) for row in world.who]
    assert max(rows) > 2**53
    for frame in client.get('/api/frames').json():
        for person in client.get(f'/api/frames/{frame["id"]}/people').json():
            assert person['id'] in world.who
            assert person['track'] is None


def test_frame_image(client, world):
    frame = world.gallery.list_frames()[4]
    response = client.get(f'/api/frames/{frame.id}/image')
    sent = pixels(response)
    assert sent.shape == (360, 640, 3)
    difference = sent.astype(int) - picture_of(world, frame)
    assert np.abs(difference).mean() < 3
    small = client.get(f'/api/frames/{frame.id}/image?max_side=100')
    assert pixels(small).shape == (56, 100, 3)
    assert small.headers['x-full-width'] == '640'
    assert small.headers['x-full-height'] == '360'
    assert len(small.content) < len(response.content) / 5


def test_crop_shows_the_person(client, world):
    frame = world.gallery.list_frames()[7]
    rows = world.gallery.people_in(frame.name)
    for row, box in zip(rows.ids, rows.bboxes.astype(int)):
        crop = pixels(client.get(f'/api/people/{row}/crop'))
        assert crop.shape[0] / crop.shape[1] == pytest.approx(2.2, abs=0.05)
        x1, y1, x2, y2 = box
        tall = round(1.2 * (y2 - y1))
        assert crop.shape[0] == pytest.approx(tall, abs=2)
        inside = picture_of(world, frame)[y1:y2, x1:x2]
        top, left = (crop.shape[0] - y2 + y1) // 2, (crop.shape[1] - x2 + x1)
        cut = crop[top : top + y2 - y1, left // 2 : left // 2 + x2 - x1]
        assert np.abs(cut.astype(int) - inside).mean() < 12


def test_crop_of_a_large_box_is_small(make_client, painted):
    world = painted(1)
    (frame,) = world.gallery.list_frames()
    large = np.zeros((3000, 4000, 3), np.uint8)
    cv2.imwrite(str(world.root / frame.source), large)
    rows = world.gallery.people_in(frame.name, embeddings=True)
    rows.bboxes[0] = -50, -50, 4100, 3100
    world.gallery.add([frame], rows)
    crop = pixels(make_client(world).get(f'/api/people/{rows.ids[0]}/crop'))
    assert crop.shape[0] == pytest.approx(352, abs=2)
    assert crop.shape[1] == pytest.approx(160, abs=2)
    # Grey above and below, as crop_person does it, black where the box is.
    assert abs(int(crop[5].mean()) - 128) < 5
    assert crop[176, 20:-20].mean() < 5


def test_upload_and_search(client, world, picture):
    up = upload(client, picture)
    assert (up['width'], up['height']) == (640, 360)
    people = sorted(up['people'], key=lambda person: person['bbox'][0])
    assert len(people) == 3
    for number, person in enumerate(people):
        x1, _, x2, _ = person['bbox']
        assert (x1 + x2) / 2 == pytest.approx(120 + 200 * number, abs=3)
        query = {'upload': up['id'], 'bbox': person['bbox']}
        found = answers(client, [query], k=5)
        assert [world.who[match['id']] for match in found] == [number] * 5
        sims = [match['similarity'] for match in found]
        assert sims == sorted(sims, reverse=True)
        assert sims[-1] > 0.95
    image = pixels(client.get(f'/api/uploads/{up["id"]}/image?max_side=64'))
    assert image.shape == (36, 64, 3)


def test_found_boxes_need_no_model_again(client, world, picture):
    up = upload(client, picture)
    before = world.searcher.model.num_images
    query = {'upload': up['id'], 'bbox': up['people'][0]['bbox']}
    found = answers(client, [query])
    assert world.searcher.model.num_images == before
    query['bbox'] = np.add(query['bbox'], [-4, -4, 4, 4]).tolist()
    drawn = answers(client, [query])
    assert world.searcher.model.num_images == before + 1
    assert [match['id'] for match in drawn[:3]] == [
        match['id'] for match in found[:3]
    ]


@pytest.mark.parametrize('kind', ['frame', 'drawn', 'person'])
def test_own_frame_is_left_out(client, world, kind):
    frame = world.gallery.list_frames()[10]
    rows = world.gallery.people_in(frame.name)
    own = str(rows.ids[0])
    box = rows.bboxes[0]
    if kind == 'drawn':
        box = box + [-3, -3, 3, 3]
    query = {'frame': str(frame.id), 'bbox': box.tolist()}
    if kind == 'person':
        query = {'person': own}
    found = answers(client, [query], k=200)
    assert world.who[found[0]['id']] == world.who[own]
    assert str(frame.id) not in {match['frame']['id'] for match in found}
    kept = answers(client, [query], k=200, keep_own=True)
    assert kept[0]['id'] == own
    assert kept[0]['similarity'] > 0.99
    assert len(kept) == len(found) + len(rows)


def test_several_pictures_of_one_person(client, world):
    mine = [row for row, who in world.who.items() if who == 3][:3]
    queries = [{'person': row} for row in mine]
    found = answers(client, queries, k=4)
    assert [world.who[match['id']] for match in found] == [3] * 4
    # Mixed kinds, and two people: the answer is not that of the first alone.
    other = next(row for row, who in world.who.items() if who == 0)
    mixed = answers(client, [queries[0], {'person': other}], k=4)
    alone = answers(client, queries[:1], k=4)
    assert mixed[0]['similarity'] < alone[0]['similarity'] - 0.05


@pytest.mark.parametrize(
    ('filters', 'passes'),
    [
        ({'cameras': ['hall']}, lambda m: m['frame']['camera'] == 'hall'),
        ({'cameras': ['hall', '']}, lambda m: m['frame']['camera'] in 'hall'),
        ({'cameras': []}, lambda m: False),
        ({'exclude_cameras': ['']}, lambda m: m['frame']['camera'] != ''),
        (
            {'after': 50, 'before': 100.5},
            lambda m: 50 <= (m['frame']['time'] or 0) < 100.5,
        ),
        ({'min_score': 0.7}, lambda m: m['score'] >= 0.7),
        ({'cameras': None, 'after': None}, lambda m: True),
    ],
)
def test_filters(client, filters, passes, world):
    query = {'person': next(iter(world.who))}
    options = dict(k=1000, keep_own=True)
    everybody = answers(client, [query], **options)
    assert len(everybody) == len(world.who)
    wanted = [match['id'] for match in everybody if passes(match)]
    found = answers(client, [query], filters=filters, **options)
    assert [match['id'] for match in found] == wanted
    if filters.get('cameras') != []:
        assert wanted


def test_k_bounds_the_answers(client, world):
    query = {'person': next(iter(world.who))}
    assert len(answers(client, [query], k=1)) == 1
    assert len(answers(client, [query])) == 20


def test_nobody_is_similar_enough(painted, make_client):
    world = painted(3, threshold=0.999999)
    client = make_client(world)
    query = {'person': next(iter(world.who))}
    body = search(client, [query], threshold=None).json()
    assert body == {'nobody': True, 'threshold': 0.999999, 'matches': []}
    body = search(client, [query], threshold=-1e6).json()
    assert not body['nobody']
    assert body['matches']


def test_frames_without_pixels(painted, make_client):
    world = painted(2)
    client = make_client(world)
    frame = world.gallery.list_frames()[0]
    rows = world.gallery.people_in(frame.name)
    shutil.rmtree(world.root / 'secret')
    for path in (f'frames/{frame.id}/image', f'people/{rows.ids[0]}/crop'):
        response = client.get(f'/api/{path}')
        assert response.status_code == 404
        assert 'not available' in response.json()['error']
    # Who was found there can be searched all the same.
    query = {'frame': str(frame.id), 'bbox': rows.bboxes[0].tolist()}
    assert search(client, [query]).status_code == 200
    query['bbox'] = [0, 0, 50, 50]
    assert search(client, [query]).status_code == 404
