"""One embedding per person and appearance in a video, by mmdet's ByteTrack."""

from dataclasses import dataclass, field

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mmps.gallery import Frame, GalleryRows, stable_id
from mmps.utils.errors import UsageError

from .person_model import Detections

# Frames that a person may be hidden for.
_RETAIN = 30


@dataclass
class _Track:
    total: np.ndarray
    weight: float = 0.0
    score: float = -1.0
    bbox: np.ndarray = field(default_factory=lambda: np.zeros(4))
    frame: Frame | None = None


class TrackCollector:
    """Joins the detections of one video to tracks.

    A track's embedding is the mean of its detections', weighted by their
    scores; frame, box and score are those of its best detection.

    Args:
        name: Of the video as it is indexed; names of the tracks' frames and
            ids of the tracks follow from it. It differs from that of single
            frames, so that both can be in one gallery.
        det_thr: Score from which a detection starts a track.

    Raises:
        UsageError: ByteTrack's ``lap`` is not installed.
    """

    def __init__(self, name: str, det_thr: float) -> None:
        self.name = name
        self._num_frames = 0
        self._tracks: dict[int, _Track] = {}
        config = dict(
            type='ByteTracker',
            motion=dict(type='KalmanFilter'),
            obj_score_thrs=dict(high=det_thr, low=det_thr),
            init_track_thr=det_thr,
            num_frames_retain=_RETAIN,
        )
        try:
            with DefaultScope.overwrite_default_scope('mmdet'):
                self._tracker = MODELS.build(config)
        except RuntimeError as err:
            raise UsageError(
                'tracks need lap: pip install "mmps[video]"'
            ) from err

    def add(self, frame: Frame, found: Detections) -> None:
        """Take the next frame's detections.

        Args:
            frame: The frame; in the order of the video.
            found: Its people.
        """
        numbers = self._track(found)
        for i, number in enumerate(numbers.tolist()):
            if number < 0:
                continue
            score, vector = float(found.scores[i]), found.embeddings[i]
            track = self._tracks.setdefault(
                number, _Track(np.zeros(len(vector)))
            )
            track.total += score * vector.astype(np.float64)
            track.weight += score
            if score > track.score:
                track.score, track.frame = score, frame
                track.bbox = found.bboxes[i]

    def rows(self) -> tuple[list[Frame], GalleryRows]:
        """All tracks as rows of a gallery, with the frames they index."""
        tracks = sorted(self._tracks.items())
        frames = list(dict.fromkeys(track.frame for _, track in tracks))
        if not tracks:
            return [], GalleryRows.empty()
        place = {frame: i for i, frame in enumerate(frames)}
        frames = [
            frame._replace(name=f'{self.name}#{frame.index:06d}')
            for frame in frames
        ]
        return frames, GalleryRows(
            ids=np.array(
                [stable_id(f'{self.name}#track{n}') for n, _ in tracks]
            ),
            frames=np.array([place[track.frame] for _, track in tracks]),
            bboxes=np.stack([track.bbox for _, track in tracks]),
            scores=np.array([track.score for _, track in tracks]),
            embeddings=np.stack(
                [track.total / track.weight for _, track in tracks]
            ),
            tracks=np.array([n for n, _ in tracks]),
        )

    def _track(self, found: Detections) -> np.ndarray:
        """(n,) number of each detection's track, -1 for none."""
        boxes = torch.from_numpy(np.ascontiguousarray(found.bboxes)).float()
        sample = DetDataSample(metainfo=dict(frame_id=self._num_frames))
        sample.pred_instances = InstanceData(
            bboxes=boxes,
            scores=torch.from_numpy(np.ascontiguousarray(found.scores)),
            labels=torch.zeros(len(boxes), dtype=torch.long),
        )
        self._num_frames += 1
        tracked = self._tracker.track(sample)
        numbers = np.full(len(boxes), -1)
        # The tracker returns the same boxes in another order.
        same = (tracked.bboxes[:, None] == boxes[None]).all(-1)
        which, mine = same.nonzero(as_tuple=True)
        numbers[mine.numpy()] = tracked.instances_id[which].numpy()
        return numbers
