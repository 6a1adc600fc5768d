"""A trained model that finds people in pictures and embeds them."""

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from mmps.checkpoints.loaders import load_weights, set_checkpoint_loaders
from mmps.checkpoints.reading import hash_weights
from mmps.datasets.from_config import dataset_config
from mmps.engine.preparation import prepare_model
from mmps.evaluation.metrics.metric_settings import settings_of
from mmps.gallery import GalleryHeader
from mmps.utils.config import load_config
from mmps.utils.device import default_device, to_host, usable_device
from mmps.utils.errors import UsageError
from mmps.utils.part_imports import import_parts

from .shipped_models import build_model

_GREY = 114
# Height of a crop's person as a share of the frame it is put into, as people
# in surveillance frames have it. Half of it costs a tenth of top-1.
_CROP_SHARE = 1 / 3
_LOADERS = ('LoadFrame', 'LoadImageFromFile', 'LoadImageFromNDArray')
_ANNOTATIONS = ('LoadPersonAnnotations', 'LoadAnnotations')


@dataclass
class Detections:
    """People found in one image.

    Args:
        bboxes: (n, 4) float32 xyxy in pixels of the image, best first.
        scores: (n,) float32.
        embeddings: (n, D) float32.
    """

    bboxes: np.ndarray
    scores: np.ndarray
    embeddings: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: np.ndarray) -> 'Detections':
        """Some of them, by index or mask."""
        return Detections(
            self.bboxes[index], self.scores[index], self.embeddings[index]
        )


class PersonModel:
    """A model with the test pipeline of its config, for single images.

    ``ChannelsLastHook`` and ``CompileHook`` of the config hold here, too.

    Args:
        config: Config file, ``mmps::FOLDER/NAME.py``, or a loaded config.
        weights: Checkpoint, a file or an address (see
            :func:`~mmps.checkpoints.loaders.load_weights`); None keeps the
            initial weights, which is only good for trials.
        device: Such as 'cuda:0'. Defaults to None, a GPU if there is one.
        det_thr: People with a lower score are left out. Defaults to None,
            that of the config's metric, usually 0.5.
        trust_checkpoint: Read a checkpoint that holds more than weights and
            plain values, too, with a warning; code in it is run. Either way
            mmengine's own loading is set likewise in this process. Defaults
            to False.

    Raises:
        UsageError: Config or checkpoint cannot be read or do not fit, the
            device cannot be used, or the model gives no embeddings.
    """

    def __init__(
        self,
        config: str | os.PathLike | Config,
        weights: str | os.PathLike | None = None,
        device: str | None = None,
        det_thr: float | None = None,
        trust_checkpoint: bool = False,
    ) -> None:
        import_parts()
        # Some of mmdet's detectors load weights while they are built.
        set_checkpoint_loaders(trust_checkpoint)
        if not isinstance(config, Config):
            config = load_config(config)
        self.name = Path(config.filename or 'config').stem
        if det_thr is None:
            det_thr = settings_of(config).det_thr
        self.det_thr = det_thr
        if device is None:
            device = default_device()
        self.device = usable_device(device)
        self.cfg = config
        scope = config.get('default_scope', 'mmdet')
        self.model = build_model(config)
        with DefaultScope.overwrite_default_scope(scope):
            self.pipeline = Compose(_image_pipeline(config))
        if weights is None:
            self.weights_hash = hash_weights(self.model.state_dict())
        else:
            self.weights_hash = load_weights(
                self.model, weights, trust_checkpoint
            )
        self.model.to(self.device).eval()
        prepare_model(self.model, config.get('custom_hooks') or [])
        self._header: GalleryHeader | None = None

    def header(self, **changes: Any) -> GalleryHeader:
        """The header of a gallery of this model's embeddings.

        Args:
            **changes: Fields of the header to set, such as ``dtype``.
        """
        if self._header is None:
            grey = np.full((64, 32, 3), _GREY, np.uint8)
            box = np.array([[4, 4, 28, 60]])
            with _uncompiled():
                dim = self.find(grey, box)[1].shape[1]
            self._header = GalleryHeader(
                dim=dim,
                # Weighted embeddings: their length is the score.
                metric='ip' if self.score_weighted else 'cosine',
                model=self.name,
                model_hash=self.weights_hash,
                det_thr=self.det_thr,
            )
        data = copy.copy(self._header.__dict__)
        del data['created']
        return GalleryHeader(**{**data, **changes})

    @property
    def score_weighted(self) -> bool:
        """Whether embeddings of detections are multiplied by the score."""
        test_cfg = self.cfg.model.get('test_cfg') or {}
        rcnn = test_cfg.get('rcnn') or {}
        return bool(rcnn.get('confidence_weighted', False))

    def prepare(
        self, image: np.ndarray, boxes: np.ndarray | None = None
    ) -> dict:
        """Run the test pipeline on one image; may be called from threads.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (q, 4) of people to embed, in pixels of the image.
                Defaults to None.

        Returns:
            What :meth:`predict` takes.
        """
        if boxes is None:
            boxes = np.zeros((0, 4))
        height, width = image.shape[:2]
        return self.pipeline(
            dict(
                img=np.ascontiguousarray(image),
                img_id=0,
                img_path=None,
                img_shape=(height, width),
                ori_shape=(height, width),
                height=height,
                width=width,
                query_bboxes=np.asarray(boxes, np.float32).reshape(-1, 4),
                query_indices=np.arange(len(boxes)),
            )
        )

    @torch.inference_mode()
    def predict(
        self, prepared: Sequence[dict]
    ) -> list[tuple[Detections, np.ndarray]]:
        """Detect people, and embed them and the given boxes.

        Images are put into one batch only with others of their size:
        padding would make an embedding depend on its neighbours.

        Args:
            prepared: From :meth:`prepare`.

        Returns:
            Per image its detections and the (q, D) embeddings of its boxes.
        """
        results: list[Any] = [None] * len(prepared)
        for members, batch in _by_size(prepared):
            samples = self.model.test_step(batch)
            for i, sample in zip(members, samples, strict=True):
                results[i] = self._unpack(sample)
        return results

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Find the people in some images.

        Args:
            images: (H, W, 3) uint8 BGR each, of any size.
        """
        found = self.predict([self.prepare(image) for image in images])
        return [detections for detections, _ in found]

    def find(
        self, image: np.ndarray, boxes: np.ndarray
    ) -> tuple[Detections, np.ndarray]:
        """Detections of one image, and embeddings of given boxes in it.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (q, 4) xyxy.

        Returns:
            Detections and (q, D) embeddings.
        """
        return self.predict([self.prepare(image, boxes)])[0]

    def embed_crop(self, image: np.ndarray) -> np.ndarray:
        """Embed a person that was cut out of a frame.

        The crop is put in the middle of a grey frame, so that the person is
        as large in it as people in frames are.

        Args:
            image: (H, W, 3) uint8 BGR, the person and nothing else.

        Returns:
            (D,) embedding.
        """
        height, width = image.shape[:2]
        frame_height = max(round(height / _CROP_SHARE), 1)
        frame_width = max(round(frame_height * 16 / 9), width)
        frame = np.full((frame_height, frame_width, 3), _GREY, np.uint8)
        top = (frame_height - height) // 2
        left = (frame_width - width) // 2
        frame[top : top + height, left : left + width] = image
        box = np.array([[left, top, left + width, top + height]])
        return self.find(frame, box)[1][0]

    @property
    def has_scenes(self) -> bool:
        """Whether it embeds whole pictures (a gallery filter)."""
        head = getattr(self.model, 'roi_head', None)
        return getattr(head, 'gallery_filter', None) is not None

    @torch.inference_mode()
    def embed_scenes(self, prepared: Sequence[dict]) -> np.ndarray:
        """Embed pictures as a whole, without looking for people.

        Args:
            prepared: From :meth:`prepare`, without boxes.

        Returns:
            (n, S) float32.

        Raises:
            UsageError: The model has no gallery filter.
        """
        self.check_scenes()
        gallery_filter = self.model.roi_head.gallery_filter
        size = (len(prepared), gallery_filter.norm.num_features)
        scenes = np.zeros(size, np.float32)
        for members, batch in _by_size(prepared):
            batch = self.model.data_preprocessor(batch)
            x = self.model.extract_feat(batch['inputs'])
            (scenes[members],) = to_host(gallery_filter(x))
        return scenes

    @torch.inference_mode()
    def scene_filter(
        self, image: np.ndarray, box: Sequence | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What tells in which scenes a person is likely to be.

        Args:
            image: (H, W, 3) uint8 BGR.
            box: (4,) xyxy of the person.

        Returns:
            (3, S) for :func:`~mmps.structures.scene_scores`, and the (D,)
            embedding of the person.

        Raises:
            UsageError: The model has no gallery filter.
        """
        self.check_scenes()
        batch = pseudo_collate([self.prepare(image, np.asarray(box)[None])])
        (sample,) = self.model.test_step(batch)
        queries = sample.query_instances
        filters, vectors = to_host(queries.scene_filters, queries.embeddings)
        return filters[0], vectors[0]

    def check_scenes(self) -> None:
        """Raise UsageError if the model has no gallery filter."""
        if not self.has_scenes:
            raise UsageError(
                f'{self.name}: the model has no gallery_filter, which embeds '
                'scenes; configs/seqnext has models with one'
            )

    def _unpack(self, sample: Any) -> tuple[Detections, np.ndarray]:
        found = sample.pred_instances
        queries = sample.get('query_instances')
        if 'embeddings' not in found or 'embeddings' not in queries:
            raise UsageError(
                f'{self.name}: the model gives no embeddings; expected one '
                'for person search'
            )
        *fields, embeddings = to_host(
            found.bboxes, found.scores, found.embeddings, queries.embeddings
        )
        detections = Detections(*fields)
        keep = detections.scores >= self.det_thr
        return detections.take(keep), embeddings


def _by_size(prepared: Sequence[dict]) -> Iterator[tuple[list[int], dict]]:
    """Batches of images of one size, and which they are."""
    groups: dict[tuple, list[int]] = {}
    for i, one in enumerate(prepared):
        groups.setdefault(tuple(one['inputs'].shape), []).append(i)
    for members in groups.values():
        yield members, pseudo_collate([prepared[i] for i in members])


def _uncompiled() -> AbstractContextManager:
    """Where one picture is not worth being compiled for.

    A torch without this has not compiled the model either.
    """
    if hasattr(torch.compiler, 'set_stance'):
        return torch.compiler.set_stance('force_eager')
    return nullcontext()


def _image_pipeline(config: Config) -> list[dict]:
    """The test pipeline, for an image that is loaded already."""
    try:
        node = dataset_config(config, 'test')
    except ValueError as err:
        raise UsageError(str(err)) from err
    steps = [
        step
        for step in node.get('pipeline') or []
        if _plain_name(step) not in (*_LOADERS, *_ANNOTATIONS)
    ]
    if not steps or not _plain_name(steps[-1]).startswith('Pack'):
        raise UsageError(
            'test_dataloader.dataset.pipeline: expected one that ends in '
            'mmps.PackPersonSearchInputs'
        )
    return steps


def _plain_name(step: dict) -> str:
    return str(step.get('type')).rpartition('.')[2]
