"""A query and the best answers to it, in one picture."""

import os
from collections.abc import Sequence

import mmcv
import numpy as np
from matplotlib.figure import Figure

from mmps.evaluation.functional import RankList, SearchProblem

from .answers import QUERY, RIGHT, WRONG, Answer, draw_answers


def draw_rank_list(
    ranks: RankList,
    problem: SearchProblem,
    image_paths: Sequence[str | os.PathLike],
    columns: int | None = None,
    title: str = '',
) -> Figure:
    """Draw a query and its answers: crops above, their frames below.

    The query is framed in blue, right answers in green, wrong ones in red;
    the words stand beside the colours.

    Args:
        ranks: What ``rank_list`` returns.
        problem: What it was called with.
        image_paths: (F) image of every frame.
        columns: Room for so many answers, also where there are fewer; None
            for the number of answers.
        title: Goes above the picture.

    Returns:
        The figure.

    Raises:
        FileNotFoundError: An image is missing.
        ValueError: A file is no image.
    """
    truth = problem.truth
    frame = int(truth.query_frames[ranks.query])
    answers = [
        Answer(
            _read(image_paths[frame]),
            truth.query_bboxes[ranks.query],
            f'query {ranks.query}',
            truth.frame_names[frame],
            QUERY,
        )
    ]
    for i, det in enumerate(ranks.dets):
        frame = int(ranks.frames[i])
        right = bool(ranks.right[i])
        answers.append(
            Answer(
                _read(image_paths[frame]),
                problem.preds.bboxes[det],
                f'{i + 1}: {"right" if right else "wrong"}\n'
                f'similarity {ranks.similarities[i]:.3f}\n'
                f'score {problem.preds.scores[det]:.2f}',
                truth.frame_names[frame],
                RIGHT if right else WRONG,
            )
        )
    columns = max(len(ranks.dets) if columns is None else columns, 1)
    return draw_answers(answers, columns + 1, title)


def _read(path: str | os.PathLike) -> np.ndarray:
    """(h, w, 3) RGB; EXIF is ignored, as in the data sets."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such image')
    image = mmcv.imread(path, flag='color_ignore_orientation')
    if image is None:
        raise ValueError(f'{path}: cannot be read as an image')
    return image[..., ::-1]
