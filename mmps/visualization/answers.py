"""A query and answers to it side by side: crops above, frames below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

QUERY, RIGHT, WRONG, ANSWER = '#0072B2', '#009E3D', '#D5000E', '#555555'
_ASPECT = 2.2  # height / width of a crop
_GREY = 128


@dataclass
class Answer:
    """One person in one frame.

    Args:
        image: (H, W, 3) RGB of the frame.
        box: (4,) xyxy.
        heading: Above the crop.
        caption: Above the frame.
        colour: Of heading and box.
    """

    image: np.ndarray
    box: np.ndarray
    heading: str
    caption: str = ''
    colour: str = ANSWER


def draw_answers(
    answers: Sequence[Answer], columns: int | None = None, title: str = ''
) -> Figure:
    """Draw people side by side, each with its frame.

    Args:
        answers: Usually the query first.
        columns: Room for so many, also where there are fewer; None for
            their number.
        title: Goes above the picture.

    Returns:
        The figure.
    """
    columns = max(len(answers) if columns is None else columns, 1)
    figure = Figure(
        figsize=(1.75 * columns, 5.3), dpi=110, layout='constrained'
    )
    grid = figure.subplots(2, columns, height_ratios=[3.3, 1], squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for column, answer in zip(grid.T, answers):
        _draw_column(column, answer)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def draw_contact_sheet(
    people: Sequence[tuple[np.ndarray, str]], columns: int = 10
) -> Figure:
    """Draw many people in rows.

    Args:
        people: Crop, (H, W, 3) RGB, and caption of each.
        columns: People per row. Defaults to 10.

    Returns:
        The figure.
    """
    rows = max(-(-len(people) // columns), 1)
    figure = Figure(
        figsize=(1.3 * columns, 3.2 * rows), dpi=80, layout='constrained'
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (crop, caption) in zip(grid.flat, people):
        axes.imshow(crop)
        axes.set_title(caption, fontsize=7)
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


def _draw_column(column: Sequence[Axes], answer: Answer) -> None:
    above, below = column
    image, box, colour = answer.image, answer.box, answer.colour
    above.imshow(crop_person(image, box))
    above.set_title(answer.heading, fontsize=8, color=colour)
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
    below.set_title(answer.caption, fontsize=6.5)
