"""A query and the best answers to it, in one picture."""

import os
from collections.abc import Sequence

import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmps.evaluation.functional import RankList, SearchProblem

QUERY, RIGHT, WRONG = '#0072B2', '#009E3D', '#D5000E'
_ASPECT = 2.2  # height / width of a crop
_GREY = 128


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
    columns = max(len(ranks.dets) if columns is None else columns, 1)
    figure = Figure(
        figsize=(1.75 * (columns + 1), 5.3), dpi=110, layout='constrained'
    )
    grid = figure.subplots(2, columns + 1, height_ratios=[3.3, 1])
    for axes in grid.flat:
        axes.set_axis_off()
    frame = int(truth.query_frames[ranks.query])
    _draw_column(
        grid[:, 0],
        _read(image_paths[frame]),
        truth.query_bboxes[ranks.query],
        QUERY,
        f'query {ranks.query}',
        truth.frame_names[frame],
    )
    for i, det in enumerate(ranks.dets):
        frame = int(ranks.frames[i])
        right = bool(ranks.right[i])
        _draw_column(
            grid[:, i + 1],
            _read(image_paths[frame]),
            problem.preds.bboxes[det],
            RIGHT if right else WRONG,
            f'{i + 1}: {"right" if right else "wrong"}\n'
            f'similarity {ranks.similarities[i]:.3f}\n'
            f'score {problem.preds.scores[det]:.2f}',
            truth.frame_names[frame],
        )
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def crop_person(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Cut a person out, with some surroundings, always the same aspect.

    Args:
        image: (h, w, 3) uint8.
        box: (4,) xyxy, may leave the image.

    Returns:
        (H, W, 3), grey beyond the image.
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    height = 1.2 * max(y2 - y1, _ASPECT * (x2 - x1), 1.0)
    width = height / _ASPECT
    left = round((x1 + x2 - width) / 2)
    top = round((y1 + y2 - height) / 2)
    size = max(round(height), 1), max(round(width), 1)
    crop = np.full((*size, 3), _GREY, dtype=np.uint8)
    rows = slice(max(top, 0), min(top + size[0], image.shape[0]))
    cols = slice(max(left, 0), min(left + size[1], image.shape[1]))
    if rows.start < rows.stop and cols.start < cols.stop:
        crop[
            rows.start - top : rows.stop - top,
            cols.start - left : cols.stop - left,
        ] = image[rows, cols]
    return crop


def _draw_column(
    column: Sequence[Axes],
    image: np.ndarray,
    box: np.ndarray,
    colour: str,
    heading: str,
    frame_name: str,
) -> None:
    above, below = column
    above.imshow(crop_person(image, box))
    above.set_title(heading, fontsize=8, color=colour)
    above.set_axis_on()
    above.set(xticks=[], yticks=[])
    for spine in above.spines.values():
        spine.set(color=colour, linewidth=3)
    # Frames are drawn small; thousands of their pixels would be lost.
    step = max(1, image.shape[1] // 640)
    height, width = image.shape[:2]
    below.imshow(image[::step, ::step], extent=(0, width, height, 0))
    below.add_patch(
        Rectangle(
            (box[0], box[1]),
            box[2] - box[0],
            box[3] - box[1],
            fill=False,
            edgecolor=colour,
            linewidth=1.5,
        )
    )
    below.set_title(frame_name, fontsize=6.5)


def _read(path: str | os.PathLike) -> np.ndarray:
    """(h, w, 3) RGB; EXIF is ignored, as in the data sets."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such image')
    image = mmcv.imread(path, flag='color_ignore_orientation')
    if image is None:
        raise ValueError(f'{path}: cannot be read as an image')
    return image[..., ::-1]
