import shutil

import cv2
import numpy as np
import pytest

from mmps import apis
from mmps.apis.context_search import (
    SETTINGS,
    _as_test_set,
    match_context,
)
from mmps.apis.frame_sources import InputOptions
from mmps.apis.person_searcher import (
    MIN_BOX_SIDE,
    PersonSearcher,
    check_boxes,
)
from mmps.apis.searching import search_gallery
from mmps.evaluation.functional.context import ContextMatcher
from mmps.gallery import (
    Filters,
    Frame,
    GalleryHeader,
    GalleryKeyError,
    GalleryMismatchError,
    GalleryRows,
    create_gallery,
    open_gallery,
)
from mmps.gallery.reranking import expand_query, k_reciprocal_distances
from mmps.utils.errors import UsageError

from painted import paint_frame


@pytest.fixture
def searcher(model, frames, tmp_path):
    searcher = PersonSearcher(model, gallery=tmp_path / 'gallery')
    searcher.index(frames, InputOptions(camera_regex=r'cam(\d)', root=None))
    with searcher.gallery:
        yield searcher


@pytest.fixture
def query(tmp_path):
    """Person 3 in a frame of its own, with two others."""
    image, boxes = paint_frame([(0, 100, 140), (3, 300, 150), (5, 520, 130)])
    path = tmp_path / 'query.png'
    cv2.imwrite(str(path), image)
    return path, boxes


def vectors(searcher, box_of=None):
    rows = [rows for rows, _ in searcher.gallery.scan()]
    return np.concatenate([r.ids for r in rows]), np.concatenate(
        [r.embeddings for r in rows]
    )


def test_finds_the_same_person(searcher, query):
    path, boxes = query
    result = searcher.search(path, boxes[1], k=3)
    wanted, (embedding,) = (
        paint_frame([(3, 320, 160)]),
        searcher.embed(cv2.imread(str(path)), boxes[1:2]),
    )
    ids, stored = vectors(searcher)
    order = np.argsort(-(stored @ embedding) / np.linalg.norm(embedding))
    assert [m.id for m in result.matches] == ids[order[:3]].tolist()
    first = result.matches[0]
    assert first.similarity > 0.99
    assert first.frame.camera in '012'
    # It is that person: the box in its frame has these colours.
    again = searcher.embed(first.frame.source, np.array([first.bbox]))[0]
    other = searcher.embed(wanted[0], wanted[1])[0]
    cosine = again @ other / np.linalg.norm(again) / np.linalg.norm(other)
    assert cosine > 0.98


def test_picture_and_crop_agree(searcher, query):
    path, boxes = query
    image = cv2.imread(str(path))
    x1, y1, x2, y2 = boxes[1].astype(int)
    crop = image[y1:y2, x1:x2]
    whole = searcher.search(image, boxes[1], k=1).matches[0]
    cut = searcher.search(crop, k=1).matches[0]
    assert (whole.id, cut.id) == (whole.id, whole.id)


def test_several_pictures_are_one_query(searcher, query):
    path, boxes = query
    image = cv2.imread(str(path))
    several = searcher.search([image, image], [boxes[0], boxes[1]], k=4)
    units = searcher.embed(image, boxes[:2])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    mean = units.sum(0)
    wanted = searcher.gallery.search(mean[None], 4)
    assert [m.id for m in several.matches] == wanted.ids[0].tolist()


def test_the_querys_own_frame_is_left_out(searcher, frames):
    path = frames / 'cam1' / '2.png'
    (found,) = searcher.detect([path])
    result = searcher.search(path, found.bboxes[0], k=50)
    assert result.matches
    assert str(path) not in {m.frame.name for m in result.matches}
    same = searcher.search(cv2.imread(str(path)), found.bboxes[0], k=1)
    assert same.matches[0].frame.name == str(path)


def test_filters_and_threshold(searcher, query):
    path, boxes = query
    only = searcher.search(path, boxes[1], filters=Filters(cameras=['1']))
    assert {m.frame.camera for m in only.matches} == {'1'}
    everything = searcher.search(path, boxes[1], k=36)
    middle = everything.matches[4].similarity
    some = searcher.search(path, boxes[1], k=36, threshold=middle)
    assert [m.similarity for m in some.matches] == [
        m.similarity for m in everything.matches if m.similarity >= middle
    ]
    nobody = searcher.search(path, boxes[1], threshold=1.01)
    assert nobody.nobody
    assert not everything.nobody
    # The gallery's own threshold, unless another is given.
    searcher.gallery.set_threshold(1.01)
    assert searcher.search(path, boxes[1]).nobody
    assert not searcher.search(path, boxes[1], threshold=-1).nobody


def test_expansion_and_reranking(searcher, query):
    path, boxes = query
    (embedding,) = searcher.embed(cv2.imread(str(path)), boxes[1:2])
    unit = (embedding / np.linalg.norm(embedding)).astype(np.float32)
    gallery = searcher.gallery
    near = gallery.search(unit[None], 3)
    rows, _ = gallery.get(near.ids[0], embeddings=True)
    wider = expand_query(unit, rows.embeddings, near.similarities[0])
    wanted = gallery.search(wider[None], 6).ids[0]
    found = searcher.search(path, boxes[1], k=6, expand=3)
    assert [m.id for m in found.matches] == wanted.tolist()
    ids, stored = vectors(searcher)
    order = gallery.search(unit[None], 36).ids[0]
    place = {key: i for i, key in enumerate(ids.tolist())}
    candidates = stored[[place[key] for key in order.tolist()]]
    distances = k_reciprocal_distances(unit[None], candidates)[0]
    wanted = order[np.argsort(distances, kind='stable')][:6]
    found = searcher.search(path, boxes[1], k=6, rerank=True)
    assert [m.id for m in found.matches] == wanted.tolist()


def test_context_prefers_frames_with_the_same_company(model, tmp_path):
    """Person 3 is seen twice; once beside the query's companion."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    # The lone one is a little more similar: it has the query's size.
    scenes = {
        'alone': [(3, 300, 150), (1, 100, 140)],
        'together': [(3, 310, 144), (0, 100, 140)],
        'other': [(0, 100, 140), (2, 300, 150)],
    }
    for name, people in scenes.items():
        cv2.imwrite(str(folder / f'{name}.png'), paint_frame(people)[0])
    image, boxes = paint_frame([(0, 100, 140), (3, 300, 150)])
    searcher = PersonSearcher(model, gallery=tmp_path / 'gallery')
    searcher.index(folder)
    plain = searcher.search(image, boxes[1], k=6)
    context = searcher.search(image, boxes[1], k=6, context=True)
    assert 'together' in context.matches[0].frame.name
    # Similarities stay those to the query: a threshold is one of them.
    values = {m.id: m.similarity for m in plain.matches}
    assert {m.id: m.similarity for m in context.matches} == pytest.approx(
        values, abs=1e-5
    )
    # As by the definition: the best edge of the best matching.
    together = searcher.gallery.people_in(
        str(folder / 'together.png'), embeddings=True
    )
    company, (query,) = searcher.model.find(image, boxes[1:])
    query /= np.linalg.norm(query)
    ids, _, rescored = match_context(
        searcher.gallery, query, boxes[1], company, 6, Filters()
    )
    other = company.embeddings[company.bboxes[:, 0].argmin()]
    graph = np.stack([query, other]) @ together.embeddings.T
    pairs = [(graph[0, 0], graph[1, 1]), (graph[0, 1], graph[1, 0])]
    best = max(pairs, key=sum)
    assert rescored[0] == pytest.approx(max(best), abs=1e-5)
    assert ids[0] == context.matches[0].id
    # What a filter leaves out is no answer, although its frame is one.
    lowest = min(m.score for m in plain.matches)
    some = match_context(
        searcher.gallery, query, boxes[1], company, 6,
        Filters(min_score=lowest + 0.01),
    )[0]  # fmt: skip
    weak = {m.id for m in plain.matches if m.score < lowest + 0.01}
    assert weak
    assert not weak & set(some.tolist())


def test_context_is_that_of_the_evaluation(model, tmp_path):
    """Equal to the evaluation's matcher on the whole gallery."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    rng = np.random.default_rng(3)
    for n in range(12):
        people = [
            (int(p), 110 + 200 * i, int(rng.integers(110, 170)))
            for i, p in enumerate(rng.permutation(6)[:3])
        ]
        path = str(folder / f'{n:02d}.png')
        cv2.imwrite(path, paint_frame(people, n % 3)[0])
    image, boxes = paint_frame([(0, 100, 140), (3, 300, 150), (5, 500, 130)])
    searcher = PersonSearcher(model, gallery=tmp_path / 'gallery')
    searcher.index(folder)
    company, (query,) = searcher.model.find(image, boxes[1:2])
    query /= np.linalg.norm(query)
    ids, _, rescored = match_context(
        searcher.gallery, query, boxes[1], company, 5, Filters()
    )
    names = sorted(f.name for f in searcher.gallery.list_frames(0, 99))
    people = [searcher.gallery.people_in(n, embeddings=True) for n in names]
    truth, preds = _as_test_set(query, boxes[1], company, names, people)
    everyone = np.concatenate([part.ids for part in people])
    sims = np.full((1, len(company) + len(everyone)), -2, np.float32)
    vectors = np.concatenate([part.embeddings for part in people])
    sims[0, len(company) :] = vectors @ query
    inside = np.ones((1, truth.num_frames), bool)
    inside[0, 0] = False
    matcher = ContextMatcher(truth, preds, SETTINGS)
    wanted = matcher(sims, np.array([0]), inside, truth.box_frames)[0]
    wanted = dict(zip(everyone.tolist(), wanted[len(company) :].tolist()))
    assert len(ids) > 25
    for row, value in zip(ids.tolist(), rescored.tolist()):
        assert value == pytest.approx(wanted[row], abs=1e-5)


def test_misuse_is_told(searcher, query):
    path, boxes = query
    image = cv2.imread(str(path))
    with pytest.raises(UsageError, match='2 pictures, but 1 boxes'):
        searcher.search([image, image], [boxes[0]])
    with pytest.raises(UsageError, match='context takes one picture'):
        searcher.search(image, context=True)
    with pytest.raises(UsageError, match='neither rerank nor expand'):
        searcher.search(image, boxes[0], context=True, expand=2)
    with pytest.raises(UsageError, match=r'expected shape \(H, W, 3\)'):
        searcher.detect([image[..., 0]])
    with pytest.raises(UsageError, match='expected uint8'):
        searcher.detect([image.astype(np.float32)])
    with pytest.raises(UsageError, match='has no direction'):
        search_gallery(searcher.gallery, np.zeros((1, 8)))
    with pytest.raises(UsageError, match='has no gallery'):
        PersonSearcher(searcher.model).search(image)


@pytest.mark.parametrize(
    'box',
    [(5, 5, 5, 50), (50, 50, 5, 5), (700, 10, 800, 90), (1, 2, 3),
     (np.nan, 0, 9, 9), (-9, -9, 0, 0), 'abcd', (0, 0, np.inf, 5)],
)  # fmt: skip
def test_boxes_outside_the_image_are_refused(box):
    image = np.zeros((360, 640, 3), np.uint8)
    with pytest.raises(UsageError, match='expected x1 y1 x2 y2'):
        check_boxes([box], image)


@pytest.mark.parametrize('side', [0.5, 1.5, MIN_BOX_SIDE - 0.01])
def test_boxes_smaller_than_the_least_are_refused(side):
    image = np.zeros((360, 640, 3), np.uint8)
    for box in ((8, 8, 8 + side, 50), (8, 8, 50, 8 + side), (-9, 0, side, 9)):
        with pytest.raises(UsageError, match='2 pixels apart or more'):
            check_boxes([box], image)
    assert len(check_boxes([(8, 8, 8 + MIN_BOX_SIDE, 50)], image)) == 1


def test_boxes_are_cut_to_the_image():
    image = np.zeros((360, 640, 3), np.uint8)
    cut = check_boxes([(-5, 10, 900, 50)], image)
    assert cut.tolist() == [[0, 10, 640, 50]]


def test_another_models_gallery_is_refused(model, tmp_path):
    header = model.header(model_hash='somebody else')
    create_gallery(tmp_path / 'a', header).close()
    with pytest.raises(GalleryMismatchError, match='somebody els'):
        PersonSearcher(model, gallery=tmp_path / 'a')
    create_gallery(tmp_path / 'b', model.header(dim=9)).close()
    with pytest.raises(GalleryMismatchError, match='dimensions 9'):
        PersonSearcher(model, gallery=tmp_path / 'b')
    open_gallery(tmp_path / 'a').close()  # the locks were given back


def test_gallery_moves_with_its_pictures(model, frames, tmp_path):
    """With a root, names are relative and frames are found again."""
    here, there = tmp_path / 'here', tmp_path / 'there'
    shutil.copytree(frames, here / 'pictures')
    searcher = PersonSearcher(
        model, gallery=here / 'gallery', root=here / 'pictures'
    )
    with searcher.gallery as gallery:
        searcher.index(here / 'pictures' / 'cam0')
        assert gallery.list_frames()[0].name == 'cam0/0.png'
        with pytest.raises(UsageError, match='relative to'):
            searcher.index(frames, InputOptions(root=frames))
    here.rename(there)
    with PersonSearcher(model, gallery=there / 'gallery').gallery as gallery:
        searcher = PersonSearcher(model, gallery=gallery)
        wanted = cv2.imread(str(frames / 'cam0' / '0.png'))
        frame = gallery.list_frames()[0]
        np.testing.assert_array_equal(searcher.frame_image(frame), wanted)
        report = searcher.index(there / 'pictures')
        assert (report.frames, report.skipped) == (8, 4)


@pytest.mark.parametrize('options', [{}, {'rerank': True}, {'expand': 3}])
def test_nobody_passes_the_filter(searcher, query, options):
    path, boxes = query
    nobody = Filters(cameras=['9'])
    assert searcher.search(path, boxes[1], filters=nobody, **options).nobody


def test_threshold_is_of_the_query_as_it_was_asked(searcher, query):
    """Expansion and re-ranking order; they make nobody more similar."""
    path, boxes = query
    plain = searcher.search(path, boxes[1], k=36)
    values = {m.id: m.similarity for m in plain.matches}
    for options in ({'expand': 4}, {'rerank': True}):
        found = searcher.search(path, boxes[1], k=36, **options)
        assert {m.id: m.similarity for m in found.matches} == pytest.approx(
            values, abs=1e-5
        )
        middle = plain.matches[9].similarity - 1e-4
        accepted = searcher.search(
            path, boxes[1], k=36, threshold=middle, **options
        )
        assert len(accepted.matches) == 10


def test_the_first_by_expansion_may_be_below_the_threshold(tmp_path):
    """Who is above it is an answer nevertheless, also with a small k."""
    vectors = np.zeros((6, 3))
    vectors[:5] = 0.85, 0.527, 0  # they pull the query away from the last
    vectors[5] = 0.9, 0, 0.436
    rows = GalleryRows(
        np.arange(6), np.arange(6), np.zeros((6, 4)), np.ones(6), vectors
    )
    query = np.array([[1.0, 0, 0]])
    with create_gallery(tmp_path / 'g', GalleryHeader(3)) as gallery:
        gallery.add([Frame(f'{i}.jpg') for i in range(6)], rows)
        first = search_gallery(gallery, query, k=1, expand=6)
        found = search_gallery(gallery, query, k=1, expand=6, threshold=0.88)
    assert first.matches[0].id == 0
    assert [match.id for match in found.matches] == [5]


@pytest.mark.parametrize('options', [{}, {'expand': 3}, {'context': True}])
def test_more_answers_than_there_are_rows(searcher, query, options):
    path, boxes = query
    whole = searcher.search(path, boxes[1], k=36, **options)
    found = searcher.search(path, boxes[1], k=10**15, **options)
    assert len(found.matches) == 36
    assert [m.id for m in found.matches] == [m.id for m in whole.matches]
    if 'expand' in options:
        assert searcher.search(path, boxes[1], k=36, expand=10**15).matches


def test_rows_that_go_away_meanwhile_are_asked_for_again(
    searcher, query, monkeypatch
):
    path, boxes = query
    gallery, real, failures = searcher.gallery, searcher.gallery.get, [1, 1]

    def get(*args, **kwargs):
        if failures:
            failures.pop()
            raise GalleryKeyError('no row 1')
        return real(*args, **kwargs)

    monkeypatch.setattr(gallery, 'get', get)
    assert searcher.search(path, boxes[1], k=3).matches


def test_context_without_a_candidate(searcher, query):
    path, boxes = query
    nobody = Filters(cameras=['none'])
    found = searcher.search(path, boxes[1], context=True, filters=nobody)
    assert found.matches == []


def test_small_parts_of_the_interface(model, frames):
    with pytest.raises(UsageError, match='batch_size, num_workers'):
        PersonSearcher(model, batch_size=0)
    searcher = PersonSearcher(model)
    assert searcher.header().dim == model.header().dim == 8
    crop = cv2.imread(str(frames / 'cam0' / '0.png'))[:200, :100]
    np.testing.assert_array_equal(
        searcher.embed(crop), model.embed_crop(crop)[None]
    )
    assert 'PersonSearcher' in dir(apis)


@pytest.mark.parametrize('shape', [(8,), (0, 8), (1, 2, 8)])
def test_embeddings_of_another_shape(searcher, shape):
    with pytest.raises(UsageError, match=r'expected shape \(m, D\)'):
        searcher.search_embeddings(np.ones(shape))
