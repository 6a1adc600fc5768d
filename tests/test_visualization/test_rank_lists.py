"""Tests of rank-list pictures."""

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmps.evaluation.functional import SearchProblem, build_tasks, rank_list
from mmps.testing import noisy_predictions, random_ground_truth
from mmps.visualization import draw_rank_list
from mmps.visualization.answers import QUERY, RIGHT, WRONG, crop_person


@pytest.fixture
def problem():
    truth = random_ground_truth(
        8, num_queries=3, people_per_frame=5, frame_size=(96, 64)
    )
    return SearchProblem(truth, noisy_predictions(truth, 8))


@pytest.fixture
def paths(problem, tmp_path):
    paths = []
    for i, name in enumerate(problem.truth.frame_names):
        # Frames differ in brightness; channels tell RGB from BGR.
        image = np.full((64, 96, 3), (20, 40, 10 * i), np.uint8)
        paths.append(str(tmp_path / name.replace('.jpg', '.png')))
        cv2.imwrite(paths[-1], image)
    return paths


@pytest.mark.parametrize('columns', [None, 4, 30])
def test_shows_query_and_answers(problem, paths, columns):
    [task] = build_tasks(problem.truth)
    ranks = rank_list(problem, task, 1, k=4)
    assert {True, False} == set(ranks.right.tolist())
    figure = draw_rank_list(ranks, problem, paths, columns, 'a title')
    num = (columns or 4) + 1
    crops, frames = figure.axes[:num], figure.axes[num:]
    assert len(frames) == num
    assert figure.get_suptitle() == 'a title'
    query_frame = problem.truth.query_frames[1]
    wanted = [('query 1', QUERY, query_frame)] + [
        (
            f'{i + 1}: {"right" if ranks.right[i] else "wrong"}\n'
            f'similarity {ranks.similarities[i]:.3f}\n'
            f'score {problem.preds.scores[ranks.dets[i]]:.2f}',
            RIGHT if ranks.right[i] else WRONG,
            ranks.frames[i],
        )
        for i in range(4)
    ]
    boxes = [problem.truth.query_bboxes[1]] + [
        problem.preds.bboxes[det] for det in ranks.dets
    ]
    for crop, below, (text, colour, frame), box in zip(
        crops, frames, wanted, boxes
    ):
        assert crop.get_title() == text
        assert below.get_title() == problem.truth.frame_names[frame]
        spine = crop.spines['left'].get_edgecolor()
        assert to_hex(spine) == colour.lower()
        assert below.images[0].get_array()[0, 0].tolist() == [
            10 * frame, 40, 20
        ]  # fmt: skip
        [patch] = below.patches
        np.testing.assert_allclose(
            [*patch.get_xy(), patch.get_width(), patch.get_height()],
            [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        )
    assert all(not axes.images for axes in crops[5:])


def test_no_answer_at_all(problem, paths, tmp_path):
    truth = problem.truth
    nothing = SearchProblem(
        truth, noisy_predictions(truth, 8, found=0, false_per_frame=0)
    )
    [task] = build_tasks(truth)
    ranks = rank_list(nothing, task, 0)
    figure = draw_rank_list(ranks, nothing, paths)
    figure.savefig(tmp_path / 'none.jpg')
    assert cv2.imread(str(tmp_path / 'none.jpg')).shape[2] == 3


def test_missing_and_junk_images(problem, paths, tmp_path):
    [task] = build_tasks(problem.truth)
    ranks = rank_list(problem, task, 0)
    frame = int(problem.truth.query_frames[0])
    junk = tmp_path / 'junk.png'
    junk.write_bytes(b'junk')
    paths[frame] = str(junk)
    with pytest.raises(ValueError, match='junk.png: cannot be read'):
        draw_rank_list(ranks, problem, paths)
    junk.unlink()
    with pytest.raises(FileNotFoundError, match='junk.png: no such image'):
        draw_rank_list(ranks, problem, paths)


@pytest.mark.parametrize(
    'box', [(30, 10, 40, 40), (-8, -8, 9, 20), (90, 50, 130, 90),
            (5, 5, 60, 20), (200, 200, 220, 260), (7, 7, 7, 7)]
)  # fmt: skip
def test_crop_is_the_neighbourhood(box):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    crop = crop_person(image, np.array(box, np.float32))
    height = 1.2 * max(box[3] - box[1], 2.2 * (box[2] - box[0]), 1)
    assert crop.shape == (
        max(round(height), 1), max(round(height / 2.2), 1), 3
    )  # fmt: skip
    left = round((box[0] + box[2] - height / 2.2) / 2)
    top = round((box[1] + box[3] - height) / 2)
    for y in range(crop.shape[0]):
        for x in range(crop.shape[1]):
            inside = 0 <= top + y < 64 and 0 <= left + x < 96
            wanted = image[top + y, left + x] if inside else [128] * 3
            assert crop[y, x].tolist() == list(wanted)
