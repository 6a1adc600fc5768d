"""Search for people: pictures in, frames with the same person out."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mmengine.config import Config

from mmps.gallery import (
    BaseGallery,
    Filters,
    Frame,
    GalleryError,
    GalleryHeader,
    create_gallery,
    gallery_exists,
    open_gallery,
    root_for,
)
from mmps.utils.errors import UsageError

from .context_search import match_context
from .frame_sources import (
    InputOptions,
    Inputs,
    Picture,
    expand_inputs,
    read_frame,
    read_picture,
)
from .indexing import Indexer, IndexReport, Progress
from .person_model import Detections, PersonModel
from .scene_index import SceneIndex, SceneSearchResult, by_product
from .searching import (
    RERANKED,
    Match,
    SearchResult,
    mean_direction,
    result_of,
    search_gallery,
    with_retries,
)

__all__ = [
    'MIN_BOX_SIDE',
    'Detections',
    'Match',
    'PersonSearcher',
    'SearchResult',
]

Image = np.ndarray | str | os.PathLike
# In pixels; a model sees nothing in smaller boxes.
MIN_BOX_SIDE = 2


class PersonSearcher:
    """A trained model and a gallery.

    ::

        searcher = PersonSearcher(CONFIG, CHECKPOINT, 'galleries/street')
        searcher.index(['cam1/', 'cam2.mp4'])
        searcher.search('query.jpg', box=(412, 160, 498, 402)).matches

    Args:
        model: Config file, ``mmps::FOLDER/NAME.py``, config, or a
            ``PersonModel``.
        weights: Checkpoint of the config. Defaults to None, with a
            ``PersonModel``.
        gallery: Where it lies or will lie (see ``mmps.gallery.engine_of``),
            or an open gallery. Defaults to None: only people can be found.
        device: Such as 'cuda:0'. Defaults to None, a GPU if there is one.
        batch_size: Images that are looked at together. Defaults to 4.
        det_thr: People with a lower score are left out. Defaults to None,
            that of the config's metric, usually 0.5.
        num_workers: Threads that load images. Defaults to 4.
        dtype: Of a new gallery's embeddings. Defaults to 'float32'.
        root: Folder that the names in a new gallery are relative to, so that
            it can be moved together with its pictures. Defaults to None,
            absolute names.
        read_only: Open the gallery for searching only, while another
            process may write to it. Defaults to False.
        trust_checkpoint: Read a checkpoint that could run code; see
            ``PersonModel``. Defaults to False.

    Raises:
        UsageError: Config or checkpoint cannot be read or do not fit.
        GalleryError: The gallery is broken, or another model's.
    """

    def __init__(
        self,
        model: str | os.PathLike | Config | PersonModel,
        weights: str | os.PathLike | None = None,
        gallery: BaseGallery | str | os.PathLike | None = None,
        device: str | None = None,
        batch_size: int = 4,
        det_thr: float | None = None,
        num_workers: int = 4,
        dtype: str = 'float32',
        root: str | os.PathLike | None = None,
        read_only: bool = False,
        trust_checkpoint: bool = False,
    ) -> None:
        if batch_size < 1 or num_workers < 1:
            raise UsageError('batch_size, num_workers: expected 1 or more')
        if not isinstance(model, PersonModel):
            model = PersonModel(
                model, weights, device, det_thr, trust_checkpoint
            )
        self.model = model
        self.batch_size = batch_size
        self.num_workers = num_workers
        if isinstance(gallery, (str, os.PathLike)):
            gallery = self._open(gallery, dtype, root, read_only)
        if gallery is not None:
            try:
                gallery.header.check_fits(model.header(), gallery.uri)
            except GalleryError:
                gallery.close()
                raise
        self._gallery = gallery

    @property
    def gallery(self) -> BaseGallery:
        """The gallery.

        Raises:
            UsageError: There is none.
        """
        if self._gallery is None:
            raise UsageError('the searcher has no gallery')
        return self._gallery

    def header(self) -> GalleryHeader:
        """The header of a gallery of this model's embeddings."""
        return self.model.header()

    def index(
        self,
        inputs: Inputs | Sequence[Inputs],
        options: InputOptions | None = None,
        tracks: bool = False,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Add the people of pictures, videos and data sets.

        Frames that are in the gallery are skipped: an interrupted call goes
        on where it stopped when it is repeated.

        Args:
            inputs: Files, folders, patterns, lists, data sets; see
                ``expand_inputs``.
            options: Names, cameras, times, sampling of videos.
            tracks: One row per track of a video, its embedding the mean
                over the track. Defaults to False.
            progress: Called with frames done and frames in all.

        Returns:
            Counts, and the files that could not be used.

        Raises:
            UsageError: An input does not exist or is of an unknown kind;
                the gallery is untouched.
        """
        items = expand_inputs(inputs, self._with_root(options))
        return self._indexer(tracks).fill(self.gallery, items, progress)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Find the people in some images.

        Args:
            images: Files, or (H, W, 3) uint8 BGR arrays.
        """
        return self.model.detect([_load(image) for image in images])

    def embed(
        self, image: Image, boxes: np.ndarray | None = None
    ) -> np.ndarray:
        """Embed people in one image.

        Args:
            image: A file, or an (H, W, 3) uint8 BGR array.
            boxes: (n, 4) xyxy in its pixels. Defaults to None: the image is
                a crop of one person.

        Returns:
            (n, D) embeddings.

        Raises:
            UsageError: A box is too small or outside the image.
        """
        image = _load(image)
        if boxes is None:
            return self.model.embed_crop(image)[None]
        boxes = check_boxes(boxes, image)
        return self.model.find(image, boxes)[1]

    def search(
        self,
        image: Image | Sequence[Image],
        box: Sequence | None = None,
        k: int = 20,
        filters: Filters | None = None,
        rerank: bool = False,
        expand: int = 0,
        context: bool = False,
        threshold: float | None = None,
    ) -> SearchResult:
        """Find a person again.

        The frame of a query that is in the gallery itself is left out.

        Args:
            image: Picture of the person, or several of the same person.
            box: (4,) xyxy of the person; with several pictures one per
                picture. Defaults to None: the pictures are crops.
            k: Answers. Defaults to 20.
            filters: Which rows to look at. Defaults to None, all.
            rerank: See :func:`search_gallery`.
            expand: See :func:`search_gallery`.
            context: Re-score by the people beside the query (CBGM, SeqNet);
                takes one picture and a box. Defaults to False.
            threshold: See :func:`search_gallery`.

        Returns:
            The best matches.

        Raises:
            UsageError: Pictures and boxes do not go together, or a box is
                outside its picture.
            BadImageError: A picture cannot be used.
        """
        several = isinstance(image, (list, tuple))
        images = list(image) if several else [image]
        boxes = [None] * len(images)
        if box is not None:
            boxes = list(box) if several else [box]
        if not images or len(boxes) != len(images):
            raise UsageError(f'{len(images)} pictures, but {len(boxes)} boxes')
        if context and (len(images) > 1 or box is None):
            raise UsageError('context takes one picture and a box in it')
        if context and (rerank or expand):
            raise UsageError('context goes with neither rerank nor expand')
        vectors, company = [], None
        for one, its_box in zip(images, boxes):
            pixels = _load(one)
            if its_box is None:
                vectors.append(self.model.embed_crop(pixels))
                continue
            checked = check_boxes([its_box], pixels)
            company, (vector,) = self.model.find(pixels, checked)
            vectors.append(vector)
        filters = self._without_queries(filters or Filters(), images)
        if not context:
            return self.search_embeddings(
                np.stack(vectors), k, filters, rerank, expand, threshold
            )
        query = mean_direction(vectors)

        def search() -> SearchResult:
            ids, similarities, _ = match_context(
                self.gallery, query, checked[0], company, k, filters
            )
            return result_of(self.gallery, ids, similarities, k, threshold)

        return with_retries(search)

    def index_scenes(
        self,
        inputs: Inputs | Sequence[Inputs],
        options: InputOptions | None = None,
        scenes: SceneIndex | None = None,
        progress: Progress | None = None,
    ) -> SceneIndex:
        """Embed pictures as a whole, without looking for people.

        Args:
            inputs: Pictures, folders, data sets; no videos.
            options: Names, cameras, times.
            scenes: An index to add to; pictures that it has are skipped, and
                what is done stays in it if the call is interrupted. Defaults
                to None, a new one.
            progress: Called with pictures done and pictures in all.

        Returns:
            The index; save it with :meth:`SceneIndex.save`.

        Raises:
            UsageError: The model has no gallery filter, another model made
                the index, or an input is a video or does not exist.
        """
        if scenes is None:
            scenes = SceneIndex(self.model.weights_hash)
        self._check_scenes(scenes)
        items = expand_inputs(inputs, self._with_root(options))
        for item in items:
            if not isinstance(item, Picture):
                raise UsageError(f'{item.path}: scenes are of pictures')
        there = set(scenes.names)
        todo = [item for item in items if item.frame.name not in there]
        frames, embeddings = [], []
        done = len(items) - len(todo)
        progress = progress or (lambda *_: None)
        progress(done, len(items))
        try:
            found = self._indexer().scenes(todo)
            for item, scene in zip(todo, found, strict=True):
                if isinstance(scene, str):
                    scenes.bad.append(scene)
                else:
                    frames.append(item.frame)
                    embeddings.append(scene)
                done += 1
                progress(done, len(items))
        finally:
            scenes.add(frames, embeddings)
        return scenes

    def search_scenes(
        self,
        image: Image,
        box: Sequence,
        scenes: SceneIndex,
        scene_thr: float = 0.5,
        k: int = 20,
        filters: Filters | None = None,
        threshold: float | None = None,
    ) -> SceneSearchResult:
        """Find a person again, looking for people in likely pictures only.

        Pictures of the index with a lower score for this person than
        ``scene_thr``, or of cameras and times that do not pass the filters,
        are left out. In the others people are detected, unless the gallery
        has them from a search before, and stay in the gallery.
        The best :data:`~mmps.apis.searching.RERANKED` answers are put into
        the order of similarity times score (GFN).

        Args:
            image: Picture of the person.
            box: (4,) xyxy of the person.
            scenes: Of :meth:`index_scenes`.
            scene_thr: 0 to 1, scores are between 0.27 and 0.73. Defaults to
                0.5.
            k: Answers. Defaults to 20.
            filters: Which rows to look at. Defaults to None, all.
            threshold: See :func:`search_gallery`.

        Returns:
            The best matches, and what was saved.

        Raises:
            UsageError: The model has no gallery filter, or another model
                made the index.
        """
        self._check_scenes(scenes)
        pixels = _load(image)
        (checked,) = check_boxes([box], pixels)
        scene_filter, vector = self.model.scene_filter(pixels, checked)
        scores = scenes.scores(scene_filter)
        filters = self._without_queries(filters or Filters(), [image])
        passing = scenes.passing(filters)
        likely = (scores >= scene_thr) & passing
        root = self.gallery.root or ''
        items = [
            Picture(frame, os.path.join(root, frame.source))
            for frame, chosen in zip(scenes.frames, likely, strict=True)
            if chosen
        ]
        report = self._indexer().fill(self.gallery, items)
        result = self.search_embeddings(
            vector[None],
            max(k, RERANKED),
            replace(filters, frames=[item.frame.name for item in items]),
            threshold=threshold,
        )
        return SceneSearchResult(
            by_product(result, scenes, scores, k),
            result.threshold,
            num_frames=int(passing.sum()),
            num_likely=int(likely.sum()),
            num_detected=report.frames,
            bad=report.bad,
        )

    def _indexer(self, tracks: bool = False) -> Indexer:
        return Indexer(self.model, self.batch_size, self.num_workers, tracks)

    def _check_scenes(self, scenes: SceneIndex) -> None:
        self.model.check_scenes()
        if scenes.model_hash != self.model.weights_hash:
            raise UsageError(
                'the index of scenes is of another model; make it anew '
                '(index_scenes)'
            )

    def search_embeddings(
        self, embeddings: np.ndarray, *args: Any, **kwargs: Any
    ) -> SearchResult:
        """Find a person again by embeddings: :func:`search_gallery`.

        Args:
            embeddings: (m, D) of the same person.
            *args: k, filters, rerank, expand, threshold.
            **kwargs: The same by name.
        """
        return search_gallery(self.gallery, embeddings, *args, **kwargs)

    def frame_image(self, frame: Frame) -> np.ndarray:
        """Pixels of a frame of the gallery.

        Args:
            frame: From the gallery.

        Returns:
            (H, W, 3) uint8 BGR.

        Raises:
            BadImageError: Its file is missing or broken.
        """
        return read_frame(frame, self.gallery.root)

    def _open(
        self,
        uri: str | os.PathLike,
        dtype: str,
        root: str | os.PathLike | None,
        read_only: bool,
    ) -> BaseGallery:
        if read_only or gallery_exists(uri):
            return open_gallery(uri, read_only)
        changes = dict(dtype=dtype, root=root_for(uri, root))
        return create_gallery(uri, self.model.header(**changes))

    def _with_root(self, options: InputOptions | None) -> InputOptions:
        return (options or InputOptions()).with_root(self.gallery.root)

    def _without_queries(
        self, filters: Filters, images: Sequence[Image]
    ) -> Filters:
        options = self._with_root(None)
        names = list(filters.exclude_frames)
        for image in images:
            if not isinstance(image, np.ndarray):
                try:
                    names.append(options.name_of(os.fspath(image)))
                except UsageError:  # it is not below the gallery's root
                    continue
        return replace(filters, exclude_frames=names)


def check_boxes(boxes: Sequence | np.ndarray, image: np.ndarray) -> np.ndarray:
    """Cut boxes to the image.

    Args:
        boxes: (n, 4) xyxy.
        image: (H, W, 3).

    Returns:
        (n, 4) float32 inside the image.

    Raises:
        UsageError: Not n boxes of 4 finite numbers, or one of which less
            than :data:`MIN_BOX_SIDE` pixels a side are inside the image.
    """
    try:
        array = np.asarray(boxes, np.float64).reshape(-1, 4)
    except (TypeError, ValueError) as err:
        raise UsageError(f'box {boxes}: expected x1 y1 x2 y2') from err
    height, width = image.shape[:2]
    cut = array.clip(0, [width, height, width, height])
    sides = cut[:, 2:] - cut[:, :2]
    bad = ~(np.isfinite(array).all(1) & (sides >= MIN_BOX_SIDE).all(1))
    if bad.any():
        shown = ' '.join(f'{value:g}' for value in array[bad][0])
        raise UsageError(
            f'box {shown}: expected x1 y1 x2 y2 inside the image of {width} '
            f'x {height}, {MIN_BOX_SIDE} pixels apart or more'
        )
    return cut.astype(np.float32)


def _load(image: Image) -> np.ndarray:
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UsageError(
                f'image: expected shape (H, W, 3), got {image.shape}'
            )
        if image.dtype != np.uint8:
            raise UsageError(f'image: expected uint8, got {image.dtype}')
        return image
    return read_picture(image)
