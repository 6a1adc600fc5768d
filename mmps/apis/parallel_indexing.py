"""Indexing with several processes: torchrun, Slurm, or Ray Data.

Each process finds the people of its share of the inputs. The result is the
same gallery as from one process: ids and embeddings follow from the frames
alone.
"""

import logging
import os
import pickle
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from mmps.engine.launch import close_processes
from mmps.gallery import (
    BaseGallery,
    GalleryError,
    create_gallery,
    gallery_exists,
    open_gallery,
)
from mmps.gallery.exact import ExactGallery
from mmps.gallery.opening import path_beside
from mmps.utils.device import has_cuda
from mmps.utils.errors import UsageError

from .frame_sources import Picture, Video
from .indexing import (
    Indexer,
    IndexReport,
    Progress,
    count_frames,
    mark_of,
    store,
)
from .person_model import PersonModel

_COPY_FRAMES = 256
_RAY_PICTURES = 64
_RAY_RETRIES = 3


@dataclass(frozen=True)
class IndexJob:
    """What every process needs to know.

    Args:
        model: Arguments of ``PersonModel``.
        uri: The gallery.
        batch_size: Images that are looked at together.
        num_workers: Threads that load images, per process.
        tracks: One row per track of a video.
        new_header: Fields of the header of a gallery that does not exist
            yet: ``dtype``, ``root``.
    """

    model: dict[str, Any]
    uri: str
    batch_size: int = 4
    num_workers: int = 4
    tracks: bool = False
    new_header: dict[str, Any] = field(default_factory=dict)

    def open(self, model: PersonModel) -> BaseGallery:
        """Open the gallery for writing, or create it.

        Raises:
            GalleryError: It is another model's, or broken.
        """
        if not gallery_exists(self.uri):
            return create_gallery(self.uri, model.header(**self.new_header))
        gallery = open_gallery(self.uri)
        try:
            gallery.header.check_fits(model.header(), self.uri)
        except GalleryError:
            gallery.close()
            raise
        return gallery

    def indexer(self, model: PersonModel) -> Indexer:
        """The part that does the work."""
        return Indexer(model, self.batch_size, self.num_workers, self.tracks)


def run_job(
    job: IndexJob,
    items: Sequence[Picture | Video],
    launcher: str = 'none',
    progress: Progress | None = None,
) -> IndexReport | None:
    """Index with one process or several.

    Args:
        job: What to do.
        items: From ``expand_inputs``.
        launcher: 'none', 'pytorch' (torchrun), 'slurm' (srun), 'ray'.
        progress: Called with frames done and frames in all.

    Returns:
        What was done; None on all but the first of several processes.
    """
    if launcher in ('pytorch', 'slurm'):
        return index_with_processes(job, items, launcher, progress)
    if launcher == 'ray':
        return index_with_ray(job, items, progress)
    model = PersonModel(**job.model)
    with job.open(model) as gallery:
        join_parts(gallery, parts_folder(job.uri))
        report = job.indexer(model).fill(gallery, items, progress)
        gallery.persist()
    return report


def parts_folder(uri: str) -> Path:
    """Where the processes leave their parts until they are joined."""
    return path_beside(uri, '.parts')


def start_processes(launcher: str) -> tuple[int, int, str | None]:
    """Join the processes that a launcher has started.

    Args:
        launcher: 'pytorch' or 'slurm'.

    Returns:
        Rank, number of processes, and this one's device (None for CPU).

    Raises:
        UsageError: This process was not started by the launcher.
    """
    if launcher == 'slurm':
        names = dict(
            RANK='SLURM_PROCID',
            WORLD_SIZE='SLURM_NTASKS',
            LOCAL_RANK='SLURM_LOCALID',
        )
        for name, source in names.items():
            if source in os.environ:
                os.environ.setdefault(name, os.environ[source])
        os.environ.setdefault('MASTER_PORT', '29500')
        if first := _first_slurm_node():
            os.environ.setdefault('MASTER_ADDR', first)
    missing = [
        name
        for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
        if name not in os.environ
    ]
    if missing:
        raise UsageError(
            f'--launcher {launcher}: {missing[0]} is not set; expected to be '
            f'started by {"torchrun" if launcher == "pytorch" else "srun"}'
        )
    # Shares differ: who is done first waits for the others.
    dist.init_process_group('gloo', timeout=timedelta(days=30))
    device = None
    if has_cuda():
        local = int(os.environ.get('LOCAL_RANK', 0))
        device = f'cuda:{local % torch.cuda.device_count()}'
    return dist.get_rank(), dist.get_world_size(), device


def _first_slurm_node() -> str | None:
    """Where rank 0 runs, None outside of Slurm."""
    nodes = os.environ.get('SLURM_JOB_NODELIST')
    if nodes is None or shutil.which('scontrol') is None:
        return os.environ.get('SLURM_LAUNCH_NODE_IPADDR')
    command = ['scontrol', 'show', 'hostnames', nodes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def index_with_processes(
    job: IndexJob,
    items: Sequence[Picture | Video],
    launcher: str,
    progress: Progress | None = None,
) -> IndexReport | None:
    """Index the share of this process, then join all shares.

    With an engine that takes several writers each process writes to the
    gallery itself. Otherwise it writes a part of its own, and the first one
    joins them; parts that a crash left are joined by the next call. Parts
    lie beside the gallery, on a disk that all machines share.

    Args:
        job: The same on every process.
        items: From ``expand_inputs``; those of the first process count.
        launcher: 'pytorch' or 'slurm'.
        progress: Told of this process' share.

    Returns:
        What all processes did; None on all but the first.
    """
    rank, num, device = start_processes(launcher)
    try:
        model = PersonModel(**{'device': device, **job.model})
        folder = parts_folder(job.uri)
        if rank == 0:
            with job.open(model) as gallery:
                join_parts(gallery, folder)
        # Of the first process: a folder may change while all list it.
        shared = [list(items)]
        dist.broadcast_object_list(shared)
        items = shared[0]
        with open_gallery(job.uri, read_only=True) as known:
            direct = known.concurrent_writers
            part = str(folder / f'{rank:04d}')
            gallery = (
                open_gallery(job.uri)
                if direct
                else ExactGallery.create(part, model.header())
            )
            with gallery:
                report = job.indexer(model).fill(
                    gallery, items[rank::num], progress, known
                )
        reports: list[Any] = [None] * num
        dist.all_gather_object(reports, report)
        dist.barrier()
        if rank:
            return None
        with job.open(model) as gallery:
            join_parts(gallery, folder)
        return _sum(reports)
    finally:
        close_processes()


def index_with_ray(
    job: IndexJob,
    items: Sequence[Picture | Video],
    progress: Progress | None = None,
    num_actors: int | None = None,
) -> IndexReport:
    """Index with Ray Data, one actor per GPU, this process writes.

    Blocks that fail are done again by Ray, elsewhere if need be.

    Args:
        job: What the actors need to know.
        items: Inputs, on paths that every machine of the cluster sees.
        progress: Called with frames done and frames in all.
        num_actors: Defaults to None: a GPU each, or without a GPU half of
            the cluster's CPUs.

    Returns:
        What all actors did.

    Raises:
        UsageError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as err:
        raise UsageError(
            '--launcher ray needs ray: pip install "mmps[ray]"'
        ) from err
    if not ray.is_initialized():
        ray.init(
            log_to_driver=False,
            include_dashboard=False,
            logging_level=logging.ERROR,
        )
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger('ray.data').setLevel(logging.ERROR)
    resources = ray.cluster_resources()
    gpus = int(resources.get('GPU', 0))
    if num_actors is None:
        num_actors = gpus or max(int(resources.get('CPU', 1)) // 2, 1)
    model = PersonModel(**job.model)
    with job.open(model) as gallery:
        job.indexer(model).check_fits(gallery)
        join_parts(gallery, parts_folder(job.uri))
        todo, known = _new_items(gallery, items, job)
        if not todo:
            return IndexReport(skipped=known)
        blocks = [{'work': pickle.dumps(part)} for part in _in_blocks(todo)]
        data = ray.data.from_items(blocks, override_num_blocks=len(blocks))
        found = data.map_batches(
            _RayFinder,
            fn_constructor_kwargs=dict(job=job),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=num_actors),
            num_gpus=1 if gpus else 0,
            num_cpus=1,
            max_restarts=_RAY_RETRIES,
            max_task_retries=_RAY_RETRIES,
        )
        chunks = (
            chunk
            for row in found.iter_rows()
            for chunk in pickle.loads(row['chunks'])
        )
        report = store(gallery, chunks, count_frames(items), progress, known)
        gallery.persist()
    return report


class _RayFinder:
    """The actor: a model that turns inputs into chunks."""

    def __init__(self, job: IndexJob) -> None:
        self.indexer = job.indexer(PersonModel(**job.model))

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        answers = []
        for work in batch['work']:
            chunks = self.indexer.chunks(
                pickle.loads(work), lambda names: np.zeros(len(names), bool)
            )
            answers.append(pickle.dumps(list(chunks)))
        return {'chunks': answers}


def join_parts(gallery: BaseGallery, folder: Path) -> None:
    """Move the rows of all parts into the gallery.

    Args:
        gallery: Open for writing.
        folder: Holds the parts; removed.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.glob('*')):
        if not ExactGallery.exists(str(path)):
            continue
        with ExactGallery.open(str(path)) as part:
            gallery.header.check_fits(part.header, gallery.uri)
            for frames, rows in part.pieces(_COPY_FRAMES):
                gallery.add(frames, rows)
    gallery.persist()
    shutil.rmtree(folder, ignore_errors=True)


def _new_items(
    gallery: BaseGallery, items: Sequence[Picture | Video], job: IndexJob
) -> tuple[list[Picture | Video], int]:
    """Inputs that are not there as a whole, and frames of the others."""
    names = [
        mark_of(item, job.tracks).name
        if isinstance(item, Video)
        else item.frame.name
        for item in items
    ]
    there = gallery.has_frames(names)
    todo = [item for item, known in zip(items, there) if not known]
    return todo, count_frames(items) - count_frames(todo)


def _in_blocks(
    items: Sequence[Picture | Video],
) -> list[list[Picture | Video]]:
    """Blocks of work: some pictures, or one video."""
    pictures = [item for item in items if isinstance(item, Picture)]
    blocks: list[list[Picture | Video]] = [
        pictures[i : i + _RAY_PICTURES]
        for i in range(0, len(pictures), _RAY_PICTURES)
    ]
    return blocks + [[item] for item in items if isinstance(item, Video)]


def _sum(reports: Sequence[IndexReport]) -> IndexReport:
    total = IndexReport()
    for report in reports:
        total = total.plus(report)
    return total
