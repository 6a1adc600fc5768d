"""Region proposals on some of the neck's levels."""

from collections.abc import Sequence

from mmdet.models.dense_heads import RPNHead
from torch import Tensor

from mmps.registry import MODELS

from ..utils import samples_per_process


@MODELS.register_module()
class SearchRPNHead(RPNHead):
    """mmdet's RPN on as many of the first levels as it has anchors for.

    Necks like :class:`ShallowFusion` return more levels than the detector
    reads. mmdet's RoI extractors take the first ones; its RPN takes all.

    Its outputs are fp32, also under autocast: NMS has no bfloat16 kernel.
    """

    def forward(self, x: Sequence[Tensor]) -> tuple[list, list]:
        """See mmdet's RPNHead."""
        scores, deltas = super().forward(x[: self.prior_generator.num_levels])
        return [s.float() for s in scores], [d.float() for d in deltas]

    def get_targets(self, *args, **kwargs) -> tuple:
        """mmdet's; the last, the number of samples, for all processes."""
        *targets, num_samples = super().get_targets(*args, **kwargs)
        labels = targets[0][0]
        return (*targets, samples_per_process(num_samples, labels))
