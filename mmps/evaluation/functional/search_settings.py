"""Settings of a search, as configs and command lines give them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmps.structures import SearchGroundTruth, SearchPredictions

from .context import ContextMatching
from .scene_filtering import SceneFiltering
from .search_evaluation import ProtocolResult, evaluate_search
from .search_tasks import PROTOCOLS, REGULAR


@dataclass(frozen=True)
class SearchSettings:
    """What decides the figures of given predictions.

    Args:
        det_thr: Detections with a lower score are not searched. Defaults
            to 0.5.
        score_thr: Detections with a lower score do not count for detection.
            Defaults to 0.01.
        protocols: Of 'regular', 'cross-camera' and 'same-camera'. Defaults
            to ('regular',).
        gallery_sizes: Galleries of the data set by name, such as 100 or
            'occlusion'. Defaults to None, which is all there are.
        cbgm: Re-score by context: True for the data set's usual k1 and k2,
            or the fields of :class:`ContextMatching`. Defaults to False.
        scene_filter: Multiply similarities by the scores of frames, and skip
            frames (GFN): True, or the fields of :class:`SceneFiltering`.
            Defaults to False.

    Raises:
        ValueError: An option is out of range or unknown.
    """

    det_thr: float = 0.5
    score_thr: float = 0.01
    protocols: Sequence[str] = (REGULAR,)
    gallery_sizes: Sequence[int | str] | None = None
    cbgm: bool | Mapping[str, float] | ContextMatching = False
    scene_filter: bool | Mapping[str, float] | SceneFiltering = False

    def __post_init__(self) -> None:
        for field in ('det_thr', 'score_thr'):
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise ValueError(f'{field} is {value}, expected 0 to 1')
        protocols, sizes = self.protocols, self.gallery_sizes
        unknown = set(protocols) - set(PROTOCOLS)
        if isinstance(protocols, str) or unknown or not protocols:
            raise ValueError(
                f'protocols is {protocols!r}, expected a list out of '
                f'{PROTOCOLS}'
            )
        if isinstance(sizes, str):
            raise ValueError(
                f'gallery_sizes is {sizes!r}, expected a list of names'
            )
        plain: dict[str, Any] = dict(protocols=tuple(protocols))
        if sizes is not None:
            plain['gallery_sizes'] = tuple(map(str, sizes))
        if isinstance(self.cbgm, Mapping):
            plain['cbgm'] = ContextMatching(**self.cbgm)
        if self.scene_filter is True:
            plain['scene_filter'] = SceneFiltering()
        elif isinstance(self.scene_filter, Mapping):
            plain['scene_filter'] = SceneFiltering(**self.scene_filter)
        for field, value in plain.items():
            object.__setattr__(self, field, value)

    def matching(self, truth: SearchGroundTruth) -> ContextMatching | None:
        """Settings of the re-scoring on a test set, None for none.

        Args:
            truth: Of the test set.
        """
        if self.cbgm is True:
            return ContextMatching.default_for(truth)
        return self.cbgm or None

    def evaluate(
        self, truth: SearchGroundTruth, preds: SearchPredictions
    ) -> dict[str, ProtocolResult]:
        """:func:`evaluate_search` with these settings.

        Args:
            truth: Ground truth of the test set.
            preds: Predictions of the same frames, in any order.
        """
        return evaluate_search(
            truth,
            preds,
            det_thr=self.det_thr,
            protocols=self.protocols,
            galleries=self.gallery_sizes,
            cbgm=self.matching(truth),
            scenes=self.scene_filter or None,
        )
