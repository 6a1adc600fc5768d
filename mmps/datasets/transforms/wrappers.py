"""Making transforms of mmdet keep person ids in step."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmps.registry import TRANSFORMS

from .annotations import PERSON_IDS_KEY


@TRANSFORMS.register_module()
class KeepPersonIds(BaseTransform):
    """Run a transform that knows boxes and labels, but no person ids.

    Every transform of mmdet that filters, reorders or mixes boxes does the
    same to their labels. All labels are 0 (person), so meanwhile they can
    carry the person ids. Works for MinIoURandomCrop, RandomAffine,
    RandomShift, RandomCenterCropPad, RandomErasing, CachedMosaic,
    CachedMixUp, and, in the pipeline of mmdet's MultiImageMixDataset, for
    Mosaic, MixUp and CopyPaste (with ``paste_by_box=True``).

    Args:
        transform: Config of the transform.
    """

    def __init__(self, transform: dict) -> None:
        self.inner = TRANSFORMS.build(transform)
        # mmdet's MultiImageMixDataset asks by this name which frames to mix.
        if hasattr(self.inner, 'get_indexes'):
            self.get_indexes = self.inner.get_indexes

    def transform(self, results: dict) -> dict | None:
        """Run it.

        Args:
            results: A frame with loaded annotations, and mix_results, a
                list of such frames, if the transform mixes several.

        Returns:
            What the transform returns, person ids in step.
        """
        for frame in (results, *results.get('mix_results', ())):
            frame['gt_bboxes_labels'] = frame[PERSON_IDS_KEY].copy()
        results = self.inner(results)
        if results is not None:
            person_ids = np.asarray(results['gt_bboxes_labels'], np.int64)
            results[PERSON_IDS_KEY] = person_ids
            results['gt_bboxes_labels'] = np.zeros_like(person_ids)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transform={self.inner!r})'
