"""Rendering frames: place, people, furniture, then the camera's look."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .figure import Figure, draw_figure
from .people import sample_person
from .place import Place, make_place
from .plan import FramePlan, raw_person_id
from .pose import sample_pose
from .scenes_config import ScenesConfig
from .stage import Standing, place_people
from .threads import one_thread
from .wardrobe import Wardrobe

__all__ = ['RenderedFrame', 'SceneRenderer']

# Resolutions of wardrobes, pixels of one body height.
_UNITS = (128, 224, 448)
_KEPT_WARDROBES = 400


@dataclass(frozen=True)
class RenderedFrame:
    """A frame with its annotation.

    Attributes:
        image: (h, w, 3) uint8 BGR.
        boxes: (n, 4) float64 x, y, width, height in pixels.
        person_ids: (n,) int64 person ids as on disk, -2 for bystanders.
        hidden: (n,) float64 share of each body inside the frame that
            something else covers.
    """

    image: np.ndarray
    boxes: np.ndarray
    person_ids: np.ndarray
    hidden: np.ndarray


class SceneRenderer:
    """Renders the frames of one configuration.

    Places and wardrobes are kept between frames; what a frame shows
    depends on the configuration and its plan only.

    Args:
        config: The settings.
    """

    def __init__(self, config: ScenesConfig) -> None:
        self.config = config
        self._places: dict[int, Place] = {}
        self._wardrobes: OrderedDict[tuple, Wardrobe] = OrderedDict()

    def render(self, plan: FramePlan) -> RenderedFrame:
        """Draw a frame.

        At least one person is annotated: a frame in which all are hidden
        is set up anew.

        Args:
            plan: What to show.

        Returns:
            RenderedFrame: Picture and annotation.
        """
        split = ('train', 'test').index(plan.split)
        for attempt in range(20):
            rng = np.random.default_rng(
                (self.config.seed, 41, split, plan.index, attempt)
            )
            with one_thread():
                frame = self._attempt(plan, rng)
            if len(frame.boxes):
                break
        return frame

    def place(self, number: int) -> Place:
        """Return the place before camera ``number``, painted once."""
        if number not in self._places:
            self._places[number] = make_place(self.config, number)
        return self._places[number]

    def wardrobe(self, group: str, index: int, unit: int) -> Wardrobe:
        """Return a person's wardrobe, from the last used ones if there."""
        key = (group, index, unit)
        if key not in self._wardrobes:
            person = sample_person(self.config, group, index)
            self._wardrobes[key] = Wardrobe(person, unit)
            if len(self._wardrobes) > _KEPT_WARDROBES:
                self._wardrobes.popitem(last=False)
        self._wardrobes.move_to_end(key)
        return self._wardrobes[key]

    def _attempt(
        self, plan: FramePlan, rng: np.random.Generator
    ) -> RenderedFrame:
        place = self.place(plan.camera)
        size = self.config.size
        standing = place_people(
            len(plan.people),
            place.camera,
            place.furniture,
            size,
            self.config.occlusion_rate,
            rng,
            self.config.heights,
        )
        canvas = Canvas(place, rng)
        drawn = [self._figure(plan, s, place, rng) for s in standing]
        for where, figure, scale in drawn:
            canvas.shadow(where, figure, scale)
        things = list(place.furniture)
        for where, figure, scale in drawn:
            while things and things[0].foot < where.foot:
                canvas.add_furniture(things.pop(0))
            canvas.add_person(where, figure, scale, rng)
        for thing in things:
            canvas.add_furniture(thing)
        boxes, keep, hidden = canvas.annotate(rng)
        person_ids = [
            raw_person_id(self.config, *plan.people[s.slot]) for s in standing
        ]
        return RenderedFrame(
            canvas.develop(rng),
            boxes[keep],
            np.array(person_ids, dtype=np.int64)[keep],
            hidden[keep],
        )

    def _figure(
        self,
        plan: FramePlan,
        where: Standing,
        place: Place,
        rng: np.random.Generator,
    ) -> tuple[Standing, Figure, float]:
        group, index = plan.people[where.slot]
        unit = next((u for u in _UNITS if u >= 1.2 * where.height), _UNITS[-1])
        wardrobe = self.wardrobe(group, index, unit)
        pose = sample_pose(wardrobe.person, place.camera.pitch, rng)
        figure = draw_figure(wardrobe, pose)
        # The view from above shortens a body; its height is the box's.
        lean = np.cos(place.camera.pitch)
        scale = where.height * wardrobe.person.stature / (unit * lean)
        return where, figure, scale
