import argparse
import csv
import json
import shutil
import sys

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmps.apis import parallel_indexing, person_searcher
from mmps.cli import search as search_cli
from mmps.cli.search_report import show_time
from mmps.cli.stored_search import load_test_set
from mmps.evaluation.functional import calibrate_threshold
from mmps.gallery import Frame, open_gallery
from mmps.testing import noisy_predictions
from mmps.utils.config import load_config

from painted import (
    PaintedPeopleModel,
    paint_frame,
    save_frames,
    save_video,
)

CONFIG = 'configs/pcnet/pcnet_r18_scenes.py'


class StubModel(PaintedPeopleModel):
    """In the place of a model that a config and a checkpoint give."""

    def __init__(
        self, config=None, weights=None, device=None, det_thr=None,
        trust_checkpoint=False,
    ):  # fmt: skip
        super().__init__(0.5 if det_thr is None else det_thr)


@pytest.fixture(autouse=True)
def painted(monkeypatch):
    monkeypatch.setattr(parallel_indexing, 'PersonModel', StubModel)
    monkeypatch.setattr(person_searcher, 'PersonModel', StubModel)


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    return save_frames(tmp_path_factory.mktemp('frames'))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return save_video(tmp_path_factory.mktemp('video') / 'walk.avi')


MODEL = ('--model', CONFIG, 'none.pth')


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp('shared')


@pytest.fixture
def gallery(run, frames, shared, tmp_path):
    """A copy of one that is indexed once."""
    path = shared / 'gallery'
    if not path.exists():
        index(run, path, frames)
    return shutil.copytree(path, tmp_path / 'gallery')


def index(run, path, frames):
    code, out, err = run(
        'index', path, *MODEL, frames, '--camera-regex', r'cam(\d)',
        '--root', frames,
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith('12 frames, 36 people added; 0 frames were there')
    assert '12/12' in err


@pytest.fixture
def query(tmp_path):
    image, boxes = paint_frame([(0, 100, 140), (3, 300, 150)])
    path = tmp_path / 'query.png'
    cv2.imwrite(str(path), image)
    return path, [f'{value:g}' for value in boxes[1]]


def test_index_again_adds_nothing(run, gallery, frames):
    """The gallery knows its root; positions of options do not matter."""
    code, out, _ = run('index', gallery, frames, *MODEL)
    assert code == 0
    assert out.startswith('0 frames, 0 people added; 12 frames were there')


def test_query_prints_a_table_and_draws(run, gallery, query, tmp_path):
    path, box = query
    picture = tmp_path / 'out' / 'result.png'
    code, out, err = run(
        'query', gallery, *MODEL, path, '--box', *box, '-k', 3,
        '--out', picture,
    )  # fmt: skip
    assert code == 0, err
    lines = [line.split() for line in out.splitlines() if line.strip()]
    ranks = [line for line in lines if line[0] in '123']
    assert len(ranks) == 3
    similarities = [float(line[1]) for line in ranks]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] > 0.99
    drawn = cv2.imread(str(picture))
    # The blue frame of the query is in it.
    blue = np.array([0xB2, 0x72, 0x00])
    assert (np.abs(drawn.astype(int) - blue).max(-1) < 12).sum() > 500


def test_query_as_json_and_by_person(run, gallery, query):
    path, box = query
    code, out, _ = run(
        'query', gallery, *MODEL, '--json', path, '--box', *box, '-k', 2
    )
    found = json.loads(out)
    assert code == 0
    assert not found['nobody']
    first = found['matches'][0]
    # A person of the gallery needs no model.
    code, out, _ = run('query', gallery, '--person', first['id'], '--json')
    again = json.loads(out)['matches']
    assert code == 0
    assert len(again) == 10
    assert first['frame'] not in {match['frame'] for match in again}


def test_filters(run, gallery, query):
    path, box = query
    arguments = ('query', gallery, *MODEL, path, '--box', *box, '--json')
    only = json.loads(run(*arguments, '--camera', 1, 2)[1])['matches']
    assert {match['camera'] for match in only} == {'1', '2'}
    other = json.loads(run(*arguments, '--exclude-camera', 1)[1])['matches']
    assert {match['camera'] for match in other} == {'0', '2'}
    sure = json.loads(run(*arguments, '--min-score', '0.9')[1])['matches']
    assert sure
    assert min(match['score'] for match in sure) >= 0.9
    none = json.loads(run(*arguments, '--after', 0)[1])
    assert none['nobody']  # the frames have no time


def test_nobody_is_an_answer(run, gallery, query):
    path, box = query
    code, out, _ = run(
        'query', gallery, *MODEL, path, '--box', *box, '--threshold', 1.01
    )
    assert code == 0
    assert out.strip() == 'nobody (no similarity of 1.010 or more)'


def test_info(run, gallery, frames):
    code, out, _ = run('info', gallery)
    assert code == 0
    assert 'painted' in out
    assert '0, 1, 2' in out
    found = json.loads(run('info', gallery, '--json')[1])
    assert (found['rows'], found['frames']) == (36, 12)
    assert found['root'] == str(frames)


def test_export_csv_and_coco(run, gallery, tmp_path):
    with open_gallery(gallery, read_only=True) as opened:
        ((rows, frames),) = opened.scan(100)
    out = tmp_path / 'a.csv'
    assert run('export', gallery, out)[0] == 0
    with out.open() as file:
        table = list(csv.DictReader(file))
    assert [int(row['id']) for row in table] == rows.ids.tolist()
    assert table[5]['frame'] == frames[rows.frames[5]].name
    assert table[5]['camera'] == frames[rows.frames[5]].camera
    boxes = [[float(row[c]) for c in ('x1', 'y1', 'x2', 'y2')]
             for row in table]  # fmt: skip
    np.testing.assert_allclose(boxes, rows.bboxes, atol=0.006)

    out = tmp_path / 'a.json'
    assert run('export', gallery, out)[0] == 0
    coco = COCO(str(out))
    assert len(coco.imgs) == 12
    assert len(coco.anns) == 36
    note = coco.anns[5]
    assert int(note['gallery_id']) == rows.ids[5]
    x, y, w, h = note['bbox']
    np.testing.assert_allclose([x, y, x + w, y + h], rows.bboxes[5])
    name = coco.imgs[note['image_id']]['file_name']
    assert name == frames[rows.frames[5]].name


def test_contact_sheet(run, gallery, tmp_path):
    out = tmp_path / 'sheet.png'
    code, text, _ = run('export', gallery, out, '--limit', 8)
    assert (code, text) == (0, f'8 people in {out}\n')
    sheet = cv2.imread(str(out))
    colours = cv2.cvtColor(sheet, cv2.COLOR_BGR2HSV)[..., 1] > 80
    assert colours.mean() > 0.05  # the people are on it


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['index', '{new}', *MODEL], 'either inputs or --split'),
        (['index', '{new}', *MODEL, '{tmp}/no.jpg'], 'does not exist'),
        (['index', '{new}', *MODEL, '{tmp}/bad.mp4'], 'as a video'),
        (['index', '{new}', '--model', 'no.py', 'x', '{tmp}'], 'no.py'),
        (['query', '{new}', '--person', '1'], 'there is no gallery'),
        (['query', '{old}'], 'either pictures or --person'),
        (['query', '{old}', '--person', '1'], 'no row 1'),
        (['query', '{old}', '--person', str(10**20)], f'no row {10**20}'),
        (['query', '{old}', '{query}'], 'need --model'),
        (['query', '{old}', *MODEL, '{query}', '--box', '900', '0', '950',
          '9'], 'inside the image of 640 x 360'),
        (['query', '{old}', *MODEL, '{query}', '{query}', '--box', '0', '0',
          '9', '9'], '2 pictures, but 1 times --box'),
        (['query', '{old}', *MODEL, '{tmp}/junk.png'], 'junk.png'),
        (['query', '{old}', '--person', '1', '--after', '5', '--before',
          '3'], 'after 5.0: expected less than before, 3.0'),
        (['query', '{old}', '--person', '1', '--scene-thr', '0.5'],
         '--scene-thr goes with --scenes'),
        (['info', '{new}'], 'there is no gallery'),
        (['info', 'ftp://host/x'], 'expected a folder'),
        (['export', '{old}', '{tmp}/a.xml'], '.csv, .json, .jpg or .png'),
        (['serve', '{new}', *MODEL], 'there is no gallery'),
        (['serve', '{old}', *MODEL, '--host', '0.0.0.0'], 'token'),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_changes_nothing(
    run, gallery, query, tmp_path, words, message
):
    (tmp_path / 'bad.mp4').write_bytes(b'junk')
    (tmp_path / 'junk.png').write_bytes(b'junk')
    before = {p: p.stat().st_mtime_ns for p in gallery.iterdir()}
    places = dict(
        new=tmp_path / 'new', old=gallery, tmp=tmp_path, query=query[0]
    )
    code, out, err = run(*(str(word).format(**places) for word in words))
    assert code == 2
    (line,) = [x for x in err.splitlines() if not x.startswith('indexing')]
    assert line.startswith('error: ')
    assert message in line
    assert not (tmp_path / 'new').exists()
    after = {p: p.stat().st_mtime_ns for p in gallery.iterdir()}
    assert after == before


@pytest.mark.parametrize(
    'words',
    [['find', 'x'], ['query', 'x', '--after', 'noon'], ['info', 'x', 'y'],
     ['query', 'x', '-k', '0'], ['index', 'x', 'y', '--bogus'],
     ['query', 'x', '--person', '1', '--threshold', 'nan'],
     ['query', 'x', '--person', '1', '--threshold', 'inf'],
     ['query', 'x', '--person', '1', '--min-score', 'nan']],
)  # fmt: skip
def test_wrong_options(run, words):
    code, _, err = run(*words)
    assert code == 2
    assert 'error: ' in err
    assert 'no gallery' not in err  # told before anything is opened


def test_model_that_does_not_fit(run, gallery, query, monkeypatch):
    class Other(StubModel):
        def header(self, **changes):
            return super().header(**{'model_hash': 'other', **changes})

    monkeypatch.setattr(person_searcher, 'PersonModel', Other)
    code, _, err = run('query', gallery, *MODEL, query[0])
    assert code == 2
    assert 'build a gallery of its own' in err


def test_times(run):
    parse = search_cli._moment
    assert parse('12.5') == 12.5
    assert parse('2026-01-31T12:00:00+00:00') == 1769860800.0
    with pytest.raises(argparse.ArgumentTypeError, match='expected a time'):
        parse('inf')


def test_calibrate(run, gallery, tmp_path, scenes):
    """The threshold of an evaluation is stored in the gallery."""
    option = f'test_dataloader.dataset.data_root={scenes}'
    cfg = load_config(CONFIG, {option.partition('=')[0]: str(scenes)})
    _, truth = load_test_set(cfg)
    preds = noisy_predictions(truth, embed_dims=8, embedding_noise=1.2)
    preds.save(tmp_path / 'a.npz')
    code, out, err = run(
        'calibrate', gallery, CONFIG, tmp_path / 'a.npz', '--fpir', 0.2,
        '--cfg-options', option,
    )  # fmt: skip
    assert code == 0, err
    wanted = calibrate_threshold(truth, preds, 0.2)
    assert out.startswith(f'threshold {wanted.threshold:.4f}: ')
    with open_gallery(gallery, read_only=True) as opened:
        assert opened.header.threshold == wanted.threshold
    other = noisy_predictions(truth, embed_dims=9)
    other.save(tmp_path / 'b.npz')
    code, _, err = run('calibrate', gallery, CONFIG, tmp_path / 'b.npz',
                       '--cfg-options', option)  # fmt: skip
    assert code == 2
    assert '9 dimensions, the gallery has 8' in err


def test_names_are_shown_as_they_are(run, frames, tmp_path):
    """Not as markup; and an odd time is no reason to fail."""
    folder = tmp_path / 'in'
    folder.mkdir()
    shutil.copy(frames / 'cam0' / '0.png', folder / 'cam[red]x.png')
    shutil.copy(frames / 'cam0' / '1.png', folder / 'b.png')
    path = tmp_path / 'g'
    code, _, err = run('index', path, *MODEL, folder, '--camera', '[/a]')
    assert code == 0, err
    with open_gallery(path, read_only=True) as opened:
        person = opened.people_in(str(folder / 'b.png')).ids[0]
    code, out, err = run('query', path, '--person', person)
    assert code == 0, err
    assert 'cam[red]x.png' in out
    assert '[/a]' in out
    assert '[/a]' in run('info', path)[1]


@pytest.mark.parametrize(
    ('time', 'shown'),
    [
        (float('nan'), ''), (3725.25, '1:02:05.2'), (1.8e12, '1.8e+12 s'),
        (59.96, '0:01:00.0'), (3599.96, '1:00:00.0'), (59.94, '0:00:59.9'),
        (-5, '-0:00:05.0'), (-3725.25, '-1:02:05.2'), (-0.01, '0:00:00.0'),
    ],
)  # fmt: skip
def test_odd_times(time, shown):
    assert show_time(Frame('a', time=time)) == shown


def test_video_options(run, video, tmp_path):
    path = tmp_path / 'g'
    code, out, err = run(
        'index', path, *MODEL, video, '--tracks', '--start-time', 100
    )
    assert code == 0, err
    assert out.startswith('20 frames, 2 people added')  # ten a second
    with open_gallery(path, read_only=True) as opened:
        times = [frame.time for frame in opened.list_frames()]
        assert min(times) >= 100
        assert max(times) < 102
    code, _, err = run('index', path, *MODEL, video, '--det-thr', 0.9)
    assert code == 2
    assert 'scores from 0.5, not from 0.9' in err
    assert run('index', path, *MODEL, video, '--det-thr', 50)[0] == 2


def test_index_a_split(run, scenes, tmp_path):
    path = tmp_path / 'gallery'
    code, out, err = run(
        'index', path, *MODEL, '--split', 'test', '--cfg-options',
        f'test_dataloader.dataset.data_root={scenes}',
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith('7 frames')
    with open_gallery(path, read_only=True) as gallery:
        assert gallery.cameras() == ['1', '2']


def test_bad_files_are_listed(run, frames, tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    shutil.copy(frames / 'cam0' / '0.png', folder / 'a.png')
    (folder / 'b.png').write_bytes(b'junk')
    code, out, err = run('index', tmp_path / 'g', *MODEL, folder)
    assert code == 0
    assert out.startswith('1 frames, 3 people added')
    (line,) = [x for x in err.splitlines() if x.startswith('skipped: ')]
    assert 'b.png' in line


def test_person_whose_picture_is_gone(run, frames, tmp_path):
    """The answer needs no picture; the drawing shows what is there."""
    folder = tmp_path / 'in'
    shutil.copytree(frames / 'cam0', folder)
    path = tmp_path / 'g'
    assert run('index', path, *MODEL, folder)[0] == 0
    with open_gallery(path, read_only=True) as gallery:
        frame = gallery.list_frames()[0]
        person = gallery.people_in(frame.name).ids[0]
    shutil.rmtree(folder)
    out = tmp_path / 'answer.png'
    code, text, err = run(
        'query', path, '--person', person, '-k', 2, '--out', out,
        '--threshold', 0.1,
    )  # fmt: skip
    assert code == 0, err
    assert text.endswith(f'picture: {out}\n')
    assert cv2.imread(str(out)) is not None
    code, _, err = run('query', path, '--person', person, '--context')
    assert code == 2
    assert '--context needs a picture with a --box' in err


def test_nobody_under_a_threshold(run, gallery, query):
    code, out, _ = run(
        'query', gallery, *MODEL, query[0], '--box', *query[1],
        '--threshold', 1.5,
    )  # fmt: skip
    assert code == 0
    assert 'nobody (no similarity of 1.500 or more)' in out


def test_serve(run, gallery, monkeypatch):
    pytest.importorskip('fastapi')
    from mmps import web

    served = []
    monkeypatch.setattr(web, 'run_server', lambda *args: served.append(args))
    code, _, err = run('serve', gallery, *MODEL, '--port', 8009)
    assert code == 0, err
    ((searcher, opened, host, port, token),) = served
    assert searcher.gallery is opened
    assert (host, port, token) == ('127.0.0.1', 8009, None)


def test_serve_without_its_extra(run, gallery, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmps.web', None)
    code, _, err = run('serve', gallery, *MODEL)
    assert code == 2
    assert 'pip install "mmps[web]"' in err
