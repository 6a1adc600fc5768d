"""Results of a search as a table, JSON and a picture."""

import datetime
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mmps.apis.frame_sources import read_frame
from mmps.apis.scene_index import SceneSearchResult
from mmps.apis.searching import SearchResult
from mmps.datasets.errors import BadImageError
from mmps.gallery import Frame
from mmps.utils.files import write_whole
from mmps.visualization import Answer, draw_answers
from mmps.visualization.answers import QUERY

# Larger times are taken for seconds since 1970.
_UNIX = 1e8
_NUMBERS = ('', 'similarity', 'score', 'id')
_MISSING = np.full((90, 160, 3), 200, np.uint8)


def print_result(result: SearchResult) -> None:
    """Print the answers as a table."""
    # Wide enough for all columns; a narrower terminal wraps lines.
    width = max(shutil.get_terminal_size().columns, 120)
    console = Console(highlight=False, markup=False, width=width)
    if isinstance(result, SceneSearchResult):
        console.print(
            f'{result.num_likely} of {result.num_frames} pictures are '
            f'likely; people detected in {result.num_detected}'
        )
    if result.nobody:
        console.print('nobody' + _believed(result))
        return
    cells = [
        {
            '': str(rank),
            'similarity': f'{match.similarity:.3f}',
            'score': f'{match.score:.2f}',
            'camera': match.frame.camera,
            'time': show_time(match.frame),
            'frame': os.path.basename(match.frame.name),
            'box': ' '.join(f'{value:.0f}' for value in match.bbox),
            'id': str(match.id),
        }
        for rank, match in enumerate(result.matches, 1)
    ]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in cells[0]:
        if any(row[title] for row in cells):
            right = title in _NUMBERS
            table.add_column(
                title, justify='right' if right else 'left', no_wrap=True
            )
    for row in cells:
        table.add_row(*(row[column.header] for column in table.columns))
    console.print(table)


def result_json(result: SearchResult) -> dict[str, Any]:
    """The answers as plain values; ids are strings."""
    scenes = {}
    if isinstance(result, SceneSearchResult):
        fields = ('num_frames', 'num_likely', 'num_detected', 'bad')
        scenes = {name: getattr(result, name) for name in fields}
    return dict(
        nobody=result.nobody,
        threshold=result.threshold,
        **scenes,
        matches=[
            dict(
                id=str(match.id),
                similarity=match.similarity,
                score=match.score,
                bbox=list(match.bbox),
                frame=match.frame.name,
                source=match.frame.source,
                index=match.frame.index,
                camera=match.frame.camera,
                time=None
                if math.isnan(match.frame.time)
                else match.frame.time,
                track=match.track,
            )
            for match in result.matches
        ],
    )


def draw_result(
    result: SearchResult,
    queries: Sequence[tuple[np.ndarray, np.ndarray, str]],
    root: str,
    path: str | os.PathLike,
) -> None:
    """Draw queries and answers side by side.

    Args:
        result: The answers.
        queries: Image (BGR), box and caption of each.
        root: Of the gallery.
        path: ``.png`` or another form that matplotlib writes.
    """
    answers = [
        Answer(image[..., ::-1], box, 'query', caption, QUERY)
        for image, box, caption in queries
    ]
    for rank, match in enumerate(result.matches, 1):
        where = f'camera {match.frame.camera}' if match.frame.camera else ''
        heading = (
            f'{rank}: {match.similarity:.3f}\nscore {match.score:.2f}\n'
            f'{where} {show_time(match.frame)}'
        )
        try:
            image = read_frame(match.frame, root)[..., ::-1]
        except BadImageError:
            image = _MISSING
        caption = os.path.basename(match.frame.name)
        answers.append(
            Answer(image, np.array(match.bbox), heading.rstrip(), caption)
        )
    title = 'nobody' + _believed(result) if result.nobody else ''
    figure = draw_answers(answers, title=title)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix[1:] or 'png'
    write_whole(path, lambda file: figure.savefig(file, format=kind))


def show_time(frame: Frame) -> str:
    """Time of a frame for people, '' where it is not known."""
    if math.isnan(frame.time):
        return ''
    if frame.time > _UNIX:
        try:
            moment = datetime.datetime.fromtimestamp(frame.time)
        except (ValueError, OverflowError, OSError):
            return f'{frame.time:g} s'
        return moment.isoformat(' ', 'seconds')
    tenths = round(10 * abs(frame.time))  # first: 59.96 s are a minute
    sign = '-' if frame.time < 0 and tenths else ''
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f'{sign}{hours}:{minutes:02d}:{tenths / 10:04.1f}'


def _believed(result: SearchResult) -> str:
    if result.threshold is None:
        return ''
    return f' (no similarity of {result.threshold:.3f} or more)'
