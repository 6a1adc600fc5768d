"""Tests of the tools that read stored predictions, as commands."""

import argparse
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scene_problems import with_scenes

from mmps.cli.stored_search import StoredSearch
from mmps.evaluation.functional import (
    ContextMatching,
    SceneFiltering,
    SearchSettings,
    evaluate_detection,
    evaluate_search,
    format_thresholds,
    metrics_of,
    results_to_dict,
    sample_gallery,
    scene_thresholds,
)
from mmps.results.comparison import compare_results
from mmps.results.result_file import read_results
from mmps.structures import fingerprint, hash_predictions
from mmps.testing import noisy_predictions, random_ground_truth, reorder_frames

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / 'tools' / 'analysis_tools'
CONFIG = ROOT / 'configs' / '_base_' / 'datasets' / 'coco_person_search.py'


def to_coco(truth):
    """Split ground truth into the contents of an annotation and query file."""
    images = [
        {'id': i, 'file_name': name, 'camera_id': int(truth.camera_ids[i])}
        for i, name in enumerate(truth.frame_names)
    ]

    def entry(frame, box, person):
        x1, y1, x2, y2 = map(float, box)
        return {
            'image_id': int(frame),
            'bbox': [x1, y1, x2 - x1, y2 - y1],
            'person_id': int(person),
        }

    people = map(entry, truth.box_frames, truth.bboxes, truth.person_ids)
    queries = map(
        entry, truth.query_frames, truth.query_bboxes, truth.query_person_ids
    )
    galleries = {}
    for name, gallery in truth.galleries.items():
        rows = np.flatnonzero(~np.isnan(gallery.bboxes[:, 0]))
        boxes = gallery.bboxes[rows].astype(float)
        boxes[:, 2:] -= boxes[:, :2]
        galleries[name] = {
            'splits': gallery.splits.tolist(),
            'image_ids': gallery.frames.tolist(),
            'rows': rows.tolist(),
            'bboxes': boxes.tolist(),
        }
    return (
        {'images': images, 'annotations': list(people)},
        {'queries': list(queries), 'galleries': galleries},
    )


class Workplace:
    """A data set on disk, predictions of it, and a way to run a tool."""

    def __init__(self, root, truth, run):
        self.root, self.truth, self.run_tool = root, truth, run
        self.preds = noisy_predictions(truth, 8, embedding_noise=2)
        self.write()
        self.file = str(root / 'preds.npz')
        order = np.random.default_rng(0).permutation(truth.num_frames)
        reorder_frames(self.preds, order).save(self.file)

    def write(self):
        folder = self.root / 'annotations'
        folder.mkdir(exist_ok=True)
        for name, content in zip(('test', 'query'), to_coco(self.truth)):
            (folder / f'{name}.json').write_text(json.dumps(content))

    def run(self, tool, *args, options=()):
        data_root = f'test_dataloader.dataset.data_root={self.root}'
        return self.run_tool(
            tool, CONFIG, *args, '--cfg-options', data_root, *options
        )


@pytest.fixture
def run_tool(monkeypatch, capsys):
    def run(tool, *args):
        argv = [str(TOOLS / tool), *map(str, args)]
        monkeypatch.setattr(sys, 'argv', argv)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(argv[0], run_name='__main__')
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def place(tmp_path, run_tool):
    truth = random_ground_truth(30, num_queries=8, frame_size=(96, 64))
    return Workplace(tmp_path, truth, run_tool)


@pytest.fixture
def listed(tmp_path, run_tool):
    truth = random_ground_truth(30, num_queries=8)
    for size in 5, 10, 20:
        truth.galleries[str(size)] = sample_gallery(truth, size)
    return Workplace(tmp_path, truth, run_tool)


def assert_close(found, wanted):
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, dict):
            assert_close(found[key], value)
        elif isinstance(value, float):
            assert found[key] == pytest.approx(value, abs=1e-9)
        else:
            assert found[key] == value


def test_eval_search(place):
    out = place.root / 'figures.json'
    code, table, err = place.run(
        'eval_search.py', place.file, '--out-json', out
    )
    assert (code, err) == (0, '')
    figures = json.loads(out.read_text())
    results = evaluate_search(place.truth, place.preds)
    detection = evaluate_detection(place.truth, place.preds)
    assert_close(figures, results_to_dict(results, detection))
    assert f'{100 * figures["mAP"]:.2f}' in table
    assert 'detection score >= 0.5' in table


@pytest.mark.parametrize('thr', [0.0, 0.45])
def test_eval_search_with_a_gallery_filter(place, thr):
    preds = with_scenes(place.preds, place.truth)
    order = np.random.default_rng(0).permutation(place.truth.num_frames)
    reorder_frames(preds, order).save(place.file)
    out = place.root / 'figures.json'
    options = ['--scene-thr', thr] if thr else ['--scene-filter']
    code, table, err = place.run(
        'eval_search.py', place.file, *options, '--scene-report', 0, 0.5,
        '--out-json', out,
    )  # fmt: skip
    assert (code, err) == (0, '')
    scenes = SceneFiltering(thr)
    results = evaluate_search(place.truth, preds, scenes=scenes)
    detection = evaluate_detection(place.truth, preds)
    assert_close(
        json.loads(out.read_text()), results_to_dict(results, detection)
    )
    settings = SearchSettings(scene_filter=scenes)
    rows = scene_thresholds(place.truth, preds, settings, (0.0, 0.5))
    assert format_thresholds(rows) in table


def test_eval_search_without_scenes(place):
    code, _, err = place.run('eval_search.py', place.file, '--scene-filter')
    assert code == 2
    assert 'no scene_embeddings; expected those of a model with' in err


def test_eval_search_options(place):
    out = place.root / 'figures.json'
    code, table, _ = place.run(
        'eval_search.py', place.file, '--det-thr', 0.7, '--protocol',
        'cross-camera', 'same-camera', '--cbgm-k', 5, 2, '--out-json', out,
    )  # fmt: skip
    assert code == 0
    results = evaluate_search(
        place.truth,
        place.preds,
        0.7,
        protocols=('cross-camera', 'same-camera'),
        cbgm=ContextMatching(5, 2),
    )
    detection = evaluate_detection(place.truth, place.preds)
    wanted = results_to_dict(results, detection, ContextMatching(5, 2))
    assert_close(json.loads(out.read_text()), wanted)
    assert 'score >= 0.7; CBGM k1=5 k2=2' in table


def test_eval_search_takes_settings_from_the_config(place):
    out = place.root / 'figures.json'
    code, _, _ = place.run(
        'eval_search.py',
        place.file,
        '--out-json',
        out,
        options=[
            'test_evaluator.det_thr=0.6',
            'test_evaluator.score_thr=0.3',
            'test_evaluator.cbgm=True',
            'test_evaluator.protocols=[same-camera]',
        ],
    )
    assert code == 0
    figures = json.loads(out.read_text())
    assert list(figures['results']) == ['same-camera']
    assert figures['det_thr'] == 0.6
    assert figures['detection']['score_thr'] == 0.3
    assert figures['cbgm'] == {'k1': 30, 'k2': 4}


def test_cbgm_k_keeps_the_other_settings(place, monkeypatch):
    seen = []
    evaluate = SearchSettings.evaluate
    monkeypatch.setattr(
        SearchSettings,
        'evaluate',
        lambda self, *args: (seen.append(self), evaluate(self, *args))[1],
    )
    code, _, _ = place.run(
        'eval_search.py', place.file, '--cbgm-k', 5, 2,
        options=[
            '+test_evaluator.cbgm.k1=9',
            '+test_evaluator.cbgm.k2=3',
            '+test_evaluator.cbgm.unit_company=True',
        ],
    )  # fmt: skip
    assert code == 0
    assert seen[0].cbgm == ContextMatching(5, 2, unit_company=True)


def test_gallery_sizes_are_drawn_with_the_scores_of_frames(
    place, tool, monkeypatch
):
    seen = []
    module = tool('analysis_tools/plot_search.py')
    monkeypatch.setattr(
        module,
        'evaluate_search',
        lambda *args, **options: seen.append(options) or {},
    )
    scenes = SceneFiltering(thr=0.4)
    search = StoredSearch(
        None,
        place.truth,
        place.preds,
        SearchSettings(scene_filter=scenes, cbgm=True),
        None,
    )
    args = argparse.Namespace(sizes=[3], seed=0)
    module.gallery_size_results(search, {}, args)
    assert seen[0]['scenes'] == scenes
    assert seen[0]['cbgm'] is not None


def test_eval_search_galleries(listed):
    out = listed.root / 'figures.json'
    code, table, _ = listed.run(
        'eval_search.py', listed.file, '--out-json', out
    )
    assert code == 0
    results = evaluate_search(listed.truth, listed.preds)
    detection = evaluate_detection(listed.truth, listed.preds)
    assert_close(
        json.loads(out.read_text()), results_to_dict(results, detection)
    )
    code, table, _ = listed.run(
        'eval_search.py', listed.file, '--gallery-size', 20, 5
    )
    rows = [line.split()[0] for line in table.splitlines()[1:3]]
    assert (code, rows) == (0, ['20', '5'])


def test_eval_search_writes_a_result_file(place):
    files = [place.root / f'results{i}.json' for i in range(3)]
    settings = [(), ('--det-thr', 0.7, '--cbgm-k', 5, 2), ()]
    for file, options in zip(files, settings):
        code, _, err = place.run(
            'eval_search.py', place.file, '--results', file, *options
        )
        assert (code, err) == (0, '')
    assert files[0].read_bytes() == files[2].read_bytes()
    found, other, _ = map(read_results, files)
    wanted = metrics_of(
        evaluate_search(place.truth, place.preds),
        evaluate_detection(place.truth, place.preds),
    )
    assert found['figures'] == {
        f'person_search/{name}': value for name, value in wanted.items()
    }
    preds = place.preds.align(place.truth)
    assert found['predictions'] == hash_predictions(preds)
    assert found['data']['sha256'] == fingerprint(place.truth)['sha256']
    assert found['config']['name'] == CONFIG.name
    for part in ('weights', 'seed', 'device'):  # nobody knows them here
        assert found[part] is None
    assert compare_results(found, other).verdict == (
        'not comparable: det_thr is 0.5 and 0.7; cbgm is not set and k1=5 '
        'k2=2 same_person_iou=0.4'
    )


def test_eval_search_says_what_is_skipped(place):
    place.truth.camera_ids[:] = 0
    place.write()
    out = place.root / 'figures.json'
    code, _, err = place.run(
        'eval_search.py', place.file, '--protocol', 'cross-camera',
        '--out-json', out,
    )  # fmt: skip
    assert code == 0
    assert err.startswith('warning: cross-camera: 8 of 8 queries have nobody')
    assert json.loads(out.read_text())['mAP'] is None


def one_line(err):
    return err.startswith('error: ') and err.count('\n') == 1


def test_errors_of_use_are_one_line(place, run_tool):
    truth, file = place.truth, place.file
    cases = [
        (['gone.npz'], 'gone.npz: no such predictions file'),
        ([file, '--gallery-size', '50'], "gallery '50': the galleries of"),
        ([file, '--out-json', 'gone/x.json'], '--out-json gone/x.json: expe'),
        ([file, '--results', 'gone/x.json'], '--results gone/x.json: expec'),
    ]
    for args, message in cases:
        code, out, err = place.run('eval_search.py', *args)
        assert (code, out) == (2, '')
        assert one_line(err)
        assert message in err

    place.preds.frame_names[0] = 'other.jpg'
    place.preds.save(file)
    code, _, err = place.run('eval_search.py', file)
    assert code == 2
    assert one_line(err)
    assert f'{file}: frame_names: 1 frames of the data set are missing' in err

    place.preds.frame_names[0] = truth.frame_names[0]
    place.preds.query_embeddings = place.preds.query_embeddings[:5]
    place.preds.save(file)
    code, _, err = place.run('eval_search.py', file)
    assert 'query_embeddings: 5 rows, but the data set has 8' in err

    np.savez(file, frame_names=np.array(['a']))
    code, _, err = place.run('eval_search.py', file)
    assert (code, one_line(err)) == (2, True)
    assert 'no key frame_splits' in err

    truth.camera_ids[3] = -1
    place.write()
    noisy_predictions(truth, 8).save(file)
    code, _, err = place.run(
        'eval_search.py', file, '--protocol', 'same-camera'
    )
    assert (code, one_line(err)) == (2, True)
    assert "protocol 'same-camera' needs the camera" in err

    code, _, err = run_tool('eval_search.py', 'gone.py', file)
    assert (code, one_line(err)) == (2, True)


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--det-thr', '1.5'], 'expected 0 to 1, got 1.5'),
        (['--det-thr', 'nan'], 'expected 0 to 1, got nan'),
        (['--det-thr', 'x'], 'invalid'),
        (['--protocol', 'multi'], "invalid choice: 'multi'"),
    ],
)
def test_bad_arguments(run_tool, args, message):
    code, _, err = run_tool('eval_search.py', CONFIG, 'preds.npz', *args)
    assert code == 2
    assert message in err


def test_data_set_without_queries(place):
    place.truth.query_bboxes = place.truth.query_bboxes[:0]
    options = ['test_dataloader.dataset.query_file=""']
    place.preds.query_embeddings = place.preds.query_embeddings[:0]
    place.preds.save(place.file)
    code, table, _ = place.run('eval_search.py', place.file, options=options)
    assert code == 0
    assert 'nan' in table.splitlines()[1]
    assert f'{100 * evaluate_detection(place.truth, place.preds).ap:.2f}' in (
        table
    )


def write_images(place):
    folder = place.root / 'images'
    folder.mkdir()
    for name in place.truth.frame_names:
        cv2.imwrite(str(folder / name), np.full((64, 96, 3), 90, np.uint8))


@pytest.mark.parametrize('sort', ['best', 'worst', 'random'])
def test_vis_ranks(place, sort):
    write_images(place)
    out = place.root / 'ranks'
    code, printed, err = place.run(
        'vis_ranks.py', place.file, '--sort', sort, '--num', 2, '--out-dir',
        out,
    )  # fmt: skip
    assert (code, err) == (0, '')
    files = sorted(path.name for path in out.iterdir())
    assert len(files) == len(printed.splitlines()) == 2
    assert all(cv2.imread(str(out / name)).std() > 1 for name in files)
    aps = evaluate_search(place.truth, place.preds)['regular'].aps
    order = np.argsort(aps, kind='stable')
    if sort != 'random':
        chosen = order[:2] if sort == 'worst' else order[-2:]
        assert files == [f'query_{i:05d}.jpg' for i in sorted(chosen)]


def test_vis_ranks_of_named_queries(place):
    write_images(place)
    out = place.root / 'ranks'
    code, printed, _ = place.run(
        'vis_ranks.py', place.file, '--queries', 5, 2, '--top-k', 3,
        '--out-dir', out, '--protocol', 'cross-camera',
    )  # fmt: skip
    assert code == 0
    assert [line.split(':')[0] for line in printed.splitlines()] == [
        str(out / 'query_00005.jpg'), str(out / 'query_00002.jpg')
    ]  # fmt: skip


def test_vis_ranks_errors(place):
    code, _, err = place.run('vis_ranks.py', place.file, '--queries', 8)
    assert (code, one_line(err)) == (2, True)
    assert '--queries 8: regular evaluates 8 queries, 0 to 7' in err
    out = place.root / 'ranks'
    code, _, err = place.run(
        'vis_ranks.py', place.file, '--num', 1, '--out-dir', out
    )
    assert (code, one_line(err)) == (2, True)
    assert 'no such image' in err
    code, _, err = place.run('vis_ranks.py', place.file, '--num', 0)
    assert code == 2
    assert '--num: expected 1 or more' in err


def test_plot_search(place):
    out = place.root / 'plots'
    code, printed, err = place.run(
        'plot_search.py', place.file, '--out-dir', out, '--protocol',
        'regular', 'same-camera',
    )  # fmt: skip
    assert code == 0
    assert err == '' or err.startswith('warning: same-camera')
    names = ['cmc.png', 'gallery_size.png', 'similarity.png']
    assert sorted(path.name for path in out.iterdir()) == names
    assert sorted(printed.split()) == [str(out / name) for name in names]
    assert all(cv2.imread(str(out / name)).std() > 1 for name in names)


def test_plot_search_with_galleries(listed):
    out = listed.root / 'plots'
    code, _, err = listed.run('plot_search.py', listed.file, '--out-dir', out)
    assert (code, err) == (0, '')
    assert (out / 'gallery_size.png').is_file()
    code, _, err = listed.run('plot_search.py', listed.file, '--bins', 0)
    assert code == 2
    assert '--bins: expected 1 or more' in err
