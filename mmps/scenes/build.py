"""Making a tree on disk: render in parallel, annotate, mark as complete."""

import multiprocessing
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mmps.structures import splits_from_counts
from mmps.utils.files import write_whole

from .cuhk_layout import CUHK_LAYOUT
from .plan import FramePlan, plan_frames
from .prw_layout import PRW_LAYOUT
from .render import SceneRenderer
from .scenes_config import RENDERER_VERSION, ScenesConfig
from .threads import one_thread
from .tree import MARKER, WORK, existing_counts, to_json
from .truth import SplitTruth, gather

__all__ = ['ScenesTree', 'make_scenes']

_CHUNK = 16  # frames a process renders before it reports
_QUALITY = 92
_LAYOUTS = {'prw': PRW_LAYOUT, 'cuhk': CUHK_LAYOUT}

Annotation = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ScenesTree:
    """A tree on disk.

    Attributes:
        root: Its folder.
        config: What it shows.
        counts: Numbers of frames, boxes, ids, queries and so on.
        reused: Whether it was there already.
    """

    root: Path
    config: ScenesConfig
    counts: dict[str, int]
    reused: bool


def make_scenes(
    root: str | os.PathLike,
    config: ScenesConfig | None = None,
    workers: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> ScenesTree:
    """Render a data set into ``root``, or find it there.

    A complete tree of the same settings is left as it is; one that was
    interrupted is completed. The bytes do not depend on ``workers``.

    Args:
        root: Folder to write; made if missing.
        config: What to render. Defaults to None, ``ScenesConfig()``.
        workers: Processes; 0 takes one per CPU. Defaults to 0.
        overwrite: Replace a scenes tree of other settings. Anything that
            is not a scenes tree is never touched. Defaults to False.
        progress: Show a bar on stderr. Defaults to False.

    Returns:
        ScenesTree: What is on disk now.

    Raises:
        FileExistsError: ``root`` holds something else.
        ValueError: The settings do not fit together, or ``workers`` < 0.
    """
    config = config or ScenesConfig()
    if (
        isinstance(workers, bool)
        or not isinstance(workers, int)
        or workers < 0
    ):
        raise ValueError(f'workers: expected 0 or more, got {workers!r}')
    root = Path(root)
    plans = plan_frames(config)
    wanted = {'renderer': RENDERER_VERSION, 'config': config.to_dict()}
    counts = existing_counts(root, wanted, overwrite)
    if counts is not None:
        return ScenesTree(root, config, counts, reused=True)

    layout = _LAYOUTS[config.layout]
    order = sorted(
        range(len(plans)),
        key=lambda i: (plans[i].split != 'train', plans[i].name),
    )
    names = {
        plans[i].name: layout.image_name(plans[i].name, number)
        for number, i in enumerate(order)
    }
    work = root / WORK
    work.mkdir(parents=True, exist_ok=True)
    write_whole(work / MARKER, to_json(wanted))
    (root / layout.image_folder).mkdir(parents=True, exist_ok=True)
    jobs = [
        _Job(
            config,
            plans[at : at + _CHUNK],
            names,
            root / layout.image_folder,
            work / f'{at // _CHUNK:05d}.npz',
        )
        for at in range(0, len(plans), _CHUNK)
    ]
    _run(
        [job for job in jobs if not job.done.is_file()],
        workers,
        progress,
        len(plans),
    )
    annotations = [item for job in jobs for item in _load(job.done)]
    splits = {}
    for split in ('train', 'test'):
        which = [i for i, plan in enumerate(plans) if plan.split == split]
        splits[split] = gather(
            [plans[i] for i in which], [annotations[i] for i in which]
        )
    counts = _count(splits)
    counts |= layout.write_annotations(
        root, config, splits['train'], splits['test'], names
    )
    write_whole(root / MARKER, to_json({**wanted, 'counts': counts}))
    shutil.rmtree(work)
    return ScenesTree(root, config, counts, reused=False)


@dataclass(frozen=True)
class _Job:
    """A piece of work for one process."""

    config: ScenesConfig
    plans: list[FramePlan]
    names: dict[str, str]
    images: Path
    done: Path


_renderers: dict[ScenesConfig, SceneRenderer] = {}


def _render_job(job: _Job) -> int:
    """Render a job's frames and note its annotations; runs anywhere."""
    if job.config not in _renderers:
        _renderers.clear()
        _renderers[job.config] = SceneRenderer(job.config)
    renderer = _renderers[job.config]
    columns: tuple[list, list, list] = ([], [], [])
    for plan in job.plans:
        frame = renderer.render(plan)
        _, code = cv2.imencode(
            '.jpg', frame.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        )
        # Not synced: there are thousands, and they can be rendered again.
        write_whole(
            job.images / job.names[plan.name], code.tobytes(), sync=False
        )
        for column, value in zip(
            columns,
            (frame.boxes, frame.person_ids, frame.hidden),
            strict=True,
        ):
            column.append(value)
    names = 'boxes', 'ids', 'hidden'
    arrays = dict(zip(names, map(np.concatenate, columns), strict=True))
    arrays['counts'] = np.array([len(person_ids) for person_ids in columns[1]])
    write_whole(job.done, lambda file: np.savez(file, **arrays), sync=False)
    return len(job.plans)


def _load(path: Path) -> list[Annotation]:
    with np.load(path) as stored:
        starts = splits_from_counts(stored['counts'])[1:-1]
        pieces = [
            np.split(stored[k], starts) for k in ('boxes', 'ids', 'hidden')
        ]
    return list(zip(*pieces, strict=True))


def _run(jobs: list[_Job], workers: int, progress: bool, total: int) -> None:
    workers = min(workers or _cpus(), len(jobs))
    left = sum(len(job.plans) for job in jobs)
    bar = Progress(
        TextColumn('rendering'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    with bar, one_thread():
        task = bar.add_task('', total=total, completed=total - left)
        if workers <= 1:
            for job in jobs:
                bar.advance(task, _render_job(job))
            _renderers.clear()
            return
        # A fresh interpreter would import the whole stack for each worker.
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context(
            'fork' if 'fork' in methods else None
        )
        with context.Pool(workers) as pool:
            for count in pool.imap_unordered(_render_job, jobs):
                bar.advance(task, count)


def _cpus() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count(splits: dict[str, SplitTruth]) -> dict[str, int]:
    counts = {}
    for split, truth in splits.items():
        boxes = len(truth.person_ids)
        counts |= {
            f'{split}_frames': len(truth.names),
            f'{split}_boxes': boxes,
            f'{split}_ids': len(truth.labelled_person_ids),
            f'{split}_unlabelled': int((truth.person_ids < 0).sum()),
            f'{split}_occluded': int((truth.hidden > 0.1).sum()),
        }
    return counts
