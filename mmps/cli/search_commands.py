"""Commands of ``mmps-search``."""

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mmps.apis.frame_sources import (
    InputOptions,
    expand_inputs,
    read_frame,
    read_picture,
)
from mmps.apis.gallery_export import export_gallery
from mmps.apis.parallel_indexing import IndexJob, run_job
from mmps.apis.person_model import PersonModel
from mmps.apis.person_searcher import PersonSearcher
from mmps.apis.scene_index import SceneIndex, scenes_file
from mmps.apis.searching import SearchResult, search_gallery
from mmps.cli.stored_search import load_predictions, load_test_set
from mmps.datasets.errors import BadImageError
from mmps.datasets.from_config import build_dataset, dataset_config
from mmps.evaluation.functional import calibrate_threshold
from mmps.evaluation.metrics.metric_settings import settings_of
from mmps.gallery import (
    BaseGallery,
    Filters,
    gallery_exists,
    open_gallery,
    root_for,
)
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from .search_report import draw_result, print_result, result_json


def index(args: argparse.Namespace) -> None:
    """Find people and store them."""
    if bool(args.inputs) == bool(args.split):
        raise UsageError('index: expected either inputs or --split')
    cfg = load_config(args.model[0], args.cfg_options)
    options = _input_options(args)
    inputs: list[Any] = list(args.inputs)
    if args.split:
        node = dataset_config(cfg, args.split)
        inputs = [build_dataset(node, pipeline=[])]
    if args.scenes:
        _index_scenes(args, cfg, inputs, options)
        return
    items = expand_inputs(inputs, options)
    job = IndexJob(
        model=dict(
            config=cfg,
            weights=args.model[1],
            device=args.device,
            det_thr=args.det_thr,
            trust_checkpoint=args.trust_checkpoint,
        ),
        uri=args.gallery,
        batch_size=args.batch_size,
        num_workers=args.workers,
        tracks=args.tracks,
        new_header=dict(
            dtype=args.dtype,
            root=root_for(args.gallery, args.root),
        ),
    )
    rank = os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0'))
    with _Bar(args.launcher in ('none', 'ray') or rank == '0') as progress:
        report = run_job(job, items, args.launcher, progress)
    if report is None:
        return
    _print_bad(report.bad)
    print(
        f'{report.frames} frames, {report.people} people added; '
        f'{report.skipped} frames were there; {len(report.bad)} could not be '
        f'used; {args.gallery}'
    )


def _index_scenes(
    args: argparse.Namespace,
    cfg: Config,
    inputs: list[Any],
    options: InputOptions,
) -> None:
    if args.tracks or args.launcher != 'none':
        raise UsageError('--scenes goes with neither --tracks nor --launcher')
    model = PersonModel(
        cfg, args.model[1], args.device, args.det_thr, args.trust_checkpoint
    )
    model.check_scenes()
    searcher = PersonSearcher(
        model, gallery=args.gallery, batch_size=args.batch_size,
        num_workers=args.workers, dtype=args.dtype, root=args.root,
    )  # fmt: skip
    path = scenes_file(args.gallery)
    scenes = SceneIndex(model.weights_hash)
    if path.exists():
        scenes = SceneIndex.load(path)
    there = len(scenes)
    with searcher.gallery, _Bar(True) as progress:
        try:
            searcher.index_scenes(inputs, options, scenes, progress)
        finally:
            if len(scenes) > there:
                scenes.save(path)
    _print_bad(scenes.bad)
    print(
        f'{len(scenes) - there} pictures added; {there} were there; '
        f'{len(scenes.bad)} could not be used; {path}'
    )


def _print_bad(lines: list[str]) -> None:
    for line in lines:
        print(f'skipped: {line}', file=sys.stderr)


def query(args: argparse.Namespace) -> None:
    """Find a person again."""

    if bool(args.inputs) == bool(args.person):
        raise UsageError('query: expected either pictures or --person')
    if args.box and len(args.box) != len(args.inputs):
        raise UsageError(
            f'query: {len(args.inputs)} pictures, but {len(args.box)} '
            'times --box'
        )
    if args.scene_thr is not None and not args.scenes:
        raise UsageError('--scene-thr goes with --scenes')
    filters = Filters(
        cameras=args.camera,
        exclude_cameras=args.exclude_camera,
        after=args.after,
        before=args.before,
        min_score=args.min_score,
    )
    options = dict(
        k=args.k,
        filters=filters,
        rerank=args.rerank,
        expand=args.expand,
        threshold=args.threshold,
    )
    with open_gallery(args.gallery, read_only=not args.scenes) as gallery:
        if args.person:
            result, queries = _query_person(args, gallery, options)
        else:
            result, queries = _query_pictures(args, gallery, options)
        if args.json:
            print(json.dumps(result_json(result), indent=1))
        else:
            print_result(result)
        if args.out:
            draw_result(result, queries, gallery.root, args.out)
            if not args.json:
                print(f'picture: {args.out}')


def _query_person(
    args: argparse.Namespace, gallery: BaseGallery, options: dict
) -> tuple[SearchResult, list]:
    if args.context or args.scenes:
        option = '--context' if args.context else '--scenes'
        raise UsageError(f'{option} needs a picture with a --box')
    rows, frames = gallery.get(args.person, embeddings=True)
    owners = [frames[i] for i in rows.frames]
    filters = options.pop('filters')
    names = [frame.name for frame in owners]
    filters = replace(filters, exclude_frames=names)
    result = search_gallery(
        gallery, rows.embeddings, filters=filters, **options
    )
    queries = []
    for frame, box in zip(owners, rows.bboxes):
        try:
            image = read_frame(frame, gallery.root)
        except BadImageError:
            continue
        queries.append((image, box, os.path.basename(frame.name)))
    return result, queries


def _query_pictures(
    args: argparse.Namespace, gallery: BaseGallery, options: dict
) -> tuple[SearchResult, list]:
    if args.model is None:
        raise UsageError('query: pictures need --model CONFIG CHECKPOINT')
    scenes = _load_scenes(args) if args.scenes else None
    images = [read_picture(path) for path in args.inputs]
    cfg = load_config(args.model[0], args.cfg_options)
    searcher = PersonSearcher(
        cfg, args.model[1], gallery, args.device, det_thr=args.det_thr,
        trust_checkpoint=args.trust_checkpoint,
    )  # fmt: skip
    if scenes is None:
        result = searcher.search(
            list(args.inputs),
            args.box or None,
            context=args.context,
            **options,
        )
    else:
        result = searcher.search_scenes(
            args.inputs[0],
            args.box[0],
            scenes,
            0.5 if args.scene_thr is None else args.scene_thr,
            args.k,
            options['filters'],
            args.threshold,
        )
        _print_bad(result.bad)
    queries = []
    for i, (path, image) in enumerate(zip(args.inputs, images)):
        height, width = image.shape[:2]
        box = args.box[i] if args.box else (0, 0, width, height)
        queries.append((image, np.array(box), Path(path).name))
    return result, queries


def _load_scenes(args: argparse.Namespace) -> SceneIndex:
    if len(args.inputs) != 1 or not args.box:
        raise UsageError('--scenes takes one picture with a --box')
    if args.context or args.rerank or args.expand:
        raise UsageError(
            '--scenes goes with none of --context, --rerank, --expand'
        )
    path = scenes_file(args.gallery)
    if not path.exists():
        raise UsageError(f'{path}: not there; index --scenes makes it')
    return SceneIndex.load(path)


def info(args: argparse.Namespace) -> None:
    """What a gallery holds."""
    with open_gallery(args.gallery, read_only=True) as gallery:
        found = {
            **gallery.info(),
            'root': gallery.root,
            'cameras': gallery.cameras(),
        }
    if args.json:
        print(json.dumps(found, indent=1))
        return
    table = Table(show_header=False)
    for key, value in found.items():
        if key == 'created':
            value = datetime.datetime.fromtimestamp(value).isoformat(
                ' ', 'seconds'
            )
        if key == 'cameras':
            shown = [camera or 'unknown' for camera in value]
            more = f' ... {len(shown)} in all' if len(shown) > 20 else ''
            value = ', '.join(shown[:20]) + more
        table.add_row(key, f'{value:,}' if type(value) is int else str(value))
    Console(highlight=False, markup=False).print(table)


def export(args: argparse.Namespace) -> None:
    """To CSV, COCO JSON or a contact sheet."""

    with open_gallery(args.gallery, read_only=True) as gallery:
        num = export_gallery(gallery, args.out, args.limit)
    print(f'{num} people in {args.out}')


def calibrate(args: argparse.Namespace) -> None:
    """Choose and store the lowest similarity of an accepted match."""

    cfg = load_config(args.config, args.cfg_options)
    _, truth = load_test_set(cfg)
    preds = load_predictions(args.predictions, truth)
    det_thr = settings_of(cfg).det_thr
    found = calibrate_threshold(truth, preds, args.fpir, det_thr)
    with open_gallery(args.gallery) as gallery:
        dim = preds.embeddings.shape[1]
        if dim != gallery.header.dim:
            raise UsageError(
                f'{args.predictions}: embeddings of {dim} dimensions, the '
                f'gallery has {gallery.header.dim}: another model'
            )
        gallery.set_threshold(found.threshold)
    print(
        f'threshold {found.threshold:.4f}: of {found.num_queries} people '
        f'{100 * found.tpir:.1f} % are found first, {100 * found.fpir:.1f} % '
        'of those who are not there get an answer'
    )


def serve(args: argparse.Namespace) -> None:
    """Serve the web page and the HTTP API."""
    try:
        from mmps.web import check_bind, run_server
    except ImportError as err:
        raise UsageError(
            f'serve needs {err.name}: pip install "mmps[web]"'
        ) from err

    check_bind(args.host, args.token)
    cfg = load_config(args.model[0], args.cfg_options)
    searcher = PersonSearcher(
        cfg, args.model[1], args.gallery, args.device, read_only=True,
        det_thr=args.det_thr, trust_checkpoint=args.trust_checkpoint,
    )  # fmt: skip
    with searcher.gallery as gallery:
        run_server(searcher, gallery, args.host, args.port, args.token)


def _input_options(args: argparse.Namespace) -> Any:

    fps = args.video_fps
    if fps is None:
        fps = 10.0 if args.tracks else 2.0
    options = InputOptions(
        camera=args.camera,
        camera_regex=args.camera_regex,
        root=args.root,
        video_fps=fps or None,
        start_time=args.start_time,
        file_times=args.file_times,
    )
    if gallery_exists(args.gallery):
        with open_gallery(args.gallery, read_only=True) as gallery:
            return options.with_root(gallery.root)
    return options


class _Bar:
    """A progress bar as a callback."""

    def __init__(self, shown: bool) -> None:
        self._progress = Progress(
            TextColumn('indexing'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('frames'),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._task = self._progress.add_task('', total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        self._progress.start()
        return lambda done, total: self._progress.update(
            self._task, completed=done, total=total
        )

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
