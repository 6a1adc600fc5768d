"""Base of the person-search data sets."""

import copy
import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmps.structures import (
    UNLABELLED,
    SearchGroundTruth,
    splits_from_counts,
)
from mmps.utils.seeding import drawing_from

from .errors import FaultList
from .frame_table import FrameTable
from .image_files import find_missing_images, read_image_sizes
from .paths import missing_root_message, resolve_data_root
from .pipeline_check import bad_image_policy, check_pipeline
from .table_checks import check_table

SPLITS = ('train', 'test')


class PersonSearchDataset(BaseDataset):
    """Frames with person boxes, person ids and, in the test split, queries.

    A subclass reads its files into a :class:`FrameTable`; checking them,
    numbering the identities and the data flow are here. Person ids become
    contiguous, 0..L-1 in the order of the raw ids, and -1 for unlabelled
    people. ``metainfo['raw_person_ids']`` is the tuple of raw ids whose
    index is the contiguous id; its length is L. The test split also has
    ``metainfo['search']``, a :class:`~mmps.structures.SearchGroundTruth`.

    ``get_data_info`` returns arrays, not a dict per box: img_id, img_path,
    frame_name, camera_id, gt_bboxes (N, 4) float32 xyxy in pixels of the
    stored image and not clipped, person_ids (N,) int64, raw_person_ids
    (L,); where the files say, height, width and timestamp; in the test
    split query_bboxes (Q, 4) float32 and query_indices (Q,) int64, the
    queries' places in the data set's query order.

    Args:
        split: 'train' or 'test'. Defaults to 'train'.
        data_root: Root folder. A relative root that starts with ``data/``
            follows the environment variable ``MMPS_DATA_ROOT``.
        data_prefix: ``dict(img_path=...)``, the image folder below the
            root. Defaults to None, the data set's own.
        pipeline: Transforms; those of mmdet that would lose track of
            person ids are refused.
        filter_cfg: ``dict(filter_empty_gt=bool)``: leave out training
            frames without any box. Frames whose people are all unlabelled
            stay. Defaults to None, which is True. The test split always
            keeps every frame.
        test_mode: Defaults to None, which is ``split == 'test'``.
        check_images: Whether a missing image is an error when the data
            set is built. Defaults to 'auto': only if the pipeline loads
            images and does not skip bad ones, so that predictions can be
            evaluated without the images.
        read_sizes: Read the images' headers for height and width, which
            mmdet's AspectRatioBatchSampler needs, if the annotations lack
            them. Defaults to False.
        **kwargs: See mmengine's BaseDataset.

    Attributes:
        METAINFO (dict): Of the class; a subclass adds ``dataset_type``, its
            name in result files.
        LAYOUT (str): Of the class: what has to lie in the root, for the
            message when it is not there.
        IMAGE_FOLDER (str): Of the class: default of ``data_prefix``.

    Raises:
        DatasetError: The files are missing or malformed; lists every
            fault found.
        ValueError: An option is unknown, or the pipeline is refused.
    """

    METAINFO = dict(classes=('person',), palette=[(220, 20, 60)])
    LAYOUT = ''
    IMAGE_FOLDER = ''

    def __init__(
        self,
        split: str = 'train',
        data_root: str = '',
        data_prefix: dict | None = None,
        pipeline: Sequence[dict] = (),
        filter_cfg: dict | None = None,
        test_mode: bool | None = None,
        check_images: bool | str = 'auto',
        read_sizes: bool = False,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if split not in SPLITS:
            raise ValueError(
                f'{name}: split is {split!r}, expected one of {SPLITS}'
            )
        if unknown := set(filter_cfg or {}) - {'filter_empty_gt'}:
            raise ValueError(
                f'{name}: filter_cfg has {sorted(unknown)}, expected only '
                'filter_empty_gt'
            )
        if split == 'test' and kwargs.get('indices') is not None:
            raise ValueError(
                f'{name}: indices is set, but the test split cannot be cut: '
                'the search is judged on all of its frames'
            )
        check_pipeline(pipeline)
        self.split = split
        self.check_images = check_images
        self.read_sizes = read_sizes
        self._on_bad_image = bad_image_policy(pipeline)
        self._raw_person_ids = np.zeros(0, np.int64)
        super().__init__(
            data_root=resolve_data_root(data_root),
            data_prefix=data_prefix or dict(img_path=self.IMAGE_FOLDER),
            pipeline=list(pipeline),
            filter_cfg=filter_cfg,
            test_mode=split == 'test' if test_mode is None else test_mode,
            **kwargs,
        )

    @abstractmethod
    def read_frames(self, faults: FaultList) -> FrameTable | None:
        """Read the split from disk; what a data set overrides.

        Called once, when ``data_root`` is known to be a folder. Files are
        below it, ``split`` says which. Reading continues after a fault where
        it can, so that all faults are reported together.

        Args:
            faults: Receives what is wrong with the files: place, fault, and
                what was expected.

        Returns:
            The split with the data set's own ids, unlabelled people as -1;
            in the test split with queries, and with galleries if the
            protocol has its own. What all data sets have in common (boxes,
            ids, queries that are in no frame, images) is checked afterwards.
            None if a fault leaves nothing to check.
        """

    @property
    def metainfo(self) -> dict:
        """Meta information; the ground truth is shared, not copied."""
        shared = {'search', 'raw_person_ids'}
        return {
            key: value if key in shared else copy.deepcopy(value)
            for key, value in self._metainfo.items()
        }

    @property
    def num_bad_images(self) -> int:
        """Bad images skipped so far, over all loading processes."""
        return sum(
            getattr(transform, 'num_bad_images', 0)
            for transform in self.pipeline.transforms
        )

    def load_table(self) -> FrameTable:
        """Read and check the split's files.

        Returns:
            The split with the data set's own person ids.

        Raises:
            DatasetError: Lists every fault found.
        """
        faults = FaultList(f'{type(self).__name__}, split {self.split!r}')
        if not os.path.isdir(self.data_root):
            faults.add(
                self.data_root,
                'no such folder',
                missing_root_message(self.data_root, self.LAYOUT, self.split),
            )
            faults.raise_if_any()
        table = self.read_frames(faults)
        if table is not None:
            check_table(table, faults)
            self._check_images(table, faults)
        faults.raise_if_any()
        return table

    def load_data_list(self) -> list[dict]:
        """Read, check and index the split."""
        table = self.load_table()
        self._raw_person_ids = table.known_raw_person_ids()
        self._metainfo['raw_person_ids'] = tuple(self._raw_person_ids.tolist())
        person_ids = self._contiguous(table.raw_person_ids)
        if self.split == 'test':
            self._metainfo['search'] = SearchGroundTruth(
                frame_names=table.frame_names,
                camera_ids=table.camera_ids,
                bboxes=table.bboxes,
                person_ids=person_ids,
                frame_splits=table.frame_splits,
                query_bboxes=table.query_bboxes,
                query_person_ids=self._contiguous(table.query_raw_person_ids),
                query_frames=table.query_frames,
                galleries=table.galleries,
            )
        return self._data_infos(table, person_ids)

    def filter_data(self) -> list[dict]:
        """Leave out training frames without boxes, unless told not to."""
        keep_empty = not (self.filter_cfg or {}).get('filter_empty_gt', True)
        if self.split == 'test' or keep_empty:
            return self.data_list
        kept = [info for info in self.data_list if len(info['gt_bboxes'])]
        if not kept:
            raise ValueError(
                f'{self.data_root}: no training frame has a box; expected '
                'some, or filter_cfg=dict(filter_empty_gt=False)'
            )
        return kept

    def get_data_info(self, idx: int) -> dict:
        """Information of one frame, see the class."""
        info = super().get_data_info(idx)
        info['raw_person_ids'] = self._raw_person_ids
        return info

    def __getitem__(self, idx: int) -> dict:
        """One frame; a ``SeededIndex`` decides the augmentation."""
        with drawing_from(idx):
            return super().__getitem__(idx)

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one frame."""
        info = self.get_data_info(idx)
        # Plain arrays under mmdet's key would reach Resize, which in test
        # pipelines comes before the annotations are loaded.
        info['person_annotations'] = {
            key: info.pop(key) for key in ('gt_bboxes', 'person_ids')
        }
        return self.pipeline(info)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of every box of a frame: 0, the person."""
        return [0] * len(self.get_data_info(idx)['gt_bboxes'])

    def _contiguous(self, raw_person_ids: np.ndarray) -> np.ndarray:
        """The data set's own ids to 0..L-1, -1 stays."""
        person_ids = np.searchsorted(self._raw_person_ids, raw_person_ids)
        unlabelled = raw_person_ids == UNLABELLED
        return np.where(unlabelled, UNLABELLED, person_ids)

    def _check_images(self, table: FrameTable, faults: FaultList) -> None:
        """Look for missing images and read sizes, as configured."""
        folder = self.data_prefix['img_path']
        skip = self._on_bad_image == 'skip'
        check = self.check_images
        if check == 'auto':
            check = self._on_bad_image is not None
        if check:
            missing = find_missing_images(folder, table.frame_names)
            for name in missing if not skip else ():
                faults.add(f'{folder}/{name}', 'no such file', 'an image')
            if missing and skip:
                print_log(
                    f'{folder}: {len(missing)} images are missing, the first '
                    f'is {missing[0]}; they will be skipped',
                    'current',
                    level=30,
                )
        if self.read_sizes and table.sizes is None and not len(faults):
            table.sizes = read_image_sizes(
                folder, table.frame_names, None if skip else faults
            )

    def _data_infos(
        self, table: FrameTable, person_ids: np.ndarray
    ) -> list[dict]:
        """One dict of arrays per frame."""
        folder = self.data_prefix['img_path']
        boxes = table.bboxes.astype(np.float32)
        query_boxes = table.query_bboxes.astype(np.float32)
        order = np.argsort(table.query_frames, kind='stable')
        query_splits = splits_from_counts(
            np.bincount(table.query_frames, minlength=len(table.frame_names))
        )
        infos = []
        for i, name in enumerate(table.frame_names):
            begin, end = table.frame_splits[i : i + 2]
            info = dict(
                img_id=i,
                img_path=os.path.join(folder, name),
                frame_name=name,
                camera_id=int(table.camera_ids[i]),
                gt_bboxes=boxes[begin:end],
                person_ids=person_ids[begin:end],
            )
            if table.sizes is not None:
                info['height'], info['width'] = map(int, table.sizes[i])
            if table.timestamps is not None:
                info['timestamp'] = float(table.timestamps[i])
            if self.split == 'test':
                rows = order[query_splits[i] : query_splits[i + 1]]
                info['query_bboxes'] = query_boxes[rows]
                info['query_indices'] = rows
            infos.append(info)
        return infos
