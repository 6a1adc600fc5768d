"""Packing a frame into the model's input and data sample."""

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmengine.structures import InstanceData

from mmps.registry import TRANSFORMS

from .annotations import PERSON_IDS_KEY, ROW_KEYS


@TRANSFORMS.register_module()
class PackPersonSearchInputs(PackDetInputs):
    """mmdet's PackDetInputs with person ids and query boxes.

    The data sample's ``gt_instances`` has bboxes, labels and person_ids
    (contiguous, -1 unlabelled); its metainfo has raw_person_ids, the data
    set's own ids of the same people. A test frame also has
    ``query_instances`` with bboxes (q, 4) in pixels of the original image
    and query_indices (q,), both possibly empty.

    Args:
        meta_keys: What goes into the metainfo, if present. Defaults to
            :attr:`META_KEYS`.

    Raises:
        ValueError: Boxes and person ids differ in number: a transform
            before this one lost track of the ids.
    """

    META_KEYS = (
        'img_id',
        'img_path',
        'frame_name',
        'camera_id',
        'timestamp',
        'ori_shape',
        'img_shape',
        'scale_factor',
        'flip',
        'flip_direction',
        'bad_image',
    )
    mapping_table = {
        'gt_bboxes': 'bboxes',
        'gt_bboxes_labels': 'labels',
        PERSON_IDS_KEY: 'person_ids',
    }

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

    def transform(self, results: dict) -> dict:
        """Pack one frame.

        Args:
            results: A frame with its image and, for training and
                evaluation, loaded annotations.

        Returns:
            dict: ``inputs``, a (3, H, W) tensor, and ``data_samples``.
        """
        self._check_lengths(results)
        packed = super().transform(results)
        sample = packed['data_samples']
        if PERSON_IDS_KEY in results:
            person_ids = sample.gt_instances.person_ids.numpy()
            table = np.append(results['raw_person_ids'], -1)
            sample.set_metainfo(dict(raw_person_ids=table[person_ids]))
        if 'query_bboxes' in results:
            sample.query_instances = InstanceData(
                bboxes=torch.as_tensor(
                    results['query_bboxes'], dtype=torch.float32
                ),
                query_indices=torch.as_tensor(
                    results['query_indices'], dtype=torch.int64
                ),
            )
        return packed

    @staticmethod
    def _check_lengths(results: dict) -> None:
        lengths = {k: len(results[k]) for k in ROW_KEYS if k in results}
        missing = 'gt_bboxes' in lengths and PERSON_IDS_KEY not in lengths
        if missing or len(set(lengths.values())) > 1:
            raise ValueError(
                f'PackPersonSearchInputs: {lengths} in '
                f'{results.get("img_path", "a frame")}; expected one person '
                'id per box. A transform of the pipeline drops or mixes '
                'boxes without their ids: wrap it, dict(type='
                "'mmps.KeepPersonIds', transform=dict(type=...))"
            )
