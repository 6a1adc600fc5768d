"""A table of past scenes and the people in them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import gather_samples

NOBODY = -2


class SceneSample(NamedTuple):
    """Scenes that were drawn of a table.

    Attributes:
        scenes: (E, D) their embeddings.
        valid: (E,) bool; rows where it is False stand for nothing.
        people: (E, P, D) embeddings of their people.
        person_ids: (E, P) contiguous ids, -1 for unlabelled people, -2 where
            there is nobody.
    """

    scenes: Tensor
    valid: Tensor
    people: Tensor
    person_ids: Tensor


@MODELS.register_module()
class SceneMemory(nn.Module):
    """The last embeddings of S scenes, and of up to P people in each.

    A frame has one place, its index modulo S, so that with S frames or fewer
    nothing but its own next visit replaces it. Everything is a buffer, hence
    saved in checkpoints, in half precision: ``scenes`` (S + 1, D),
    ``people`` (S + 1, P, D), ``person_ids`` (S + 1, P) and ``frames``
    (S + 1,), -1 where a place is empty; the last row takes what is not to be
    kept. 5704 frames with 8 people of 2048 values are 210 MB.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (GFN), WACV 2023, section 3.3.

    Args:
        num_scenes: S. Defaults to 1000.
        people_per_scene: P, the first of a scene. Defaults to 8.
        embed_dims: D. Defaults to 2048.

    Raises:
        ValueError: A size is not positive.
    """

    def __init__(
        self,
        num_scenes: int = 1000,
        people_per_scene: int = 8,
        embed_dims: int = 2048,
    ) -> None:
        super().__init__()
        if min(num_scenes, people_per_scene, embed_dims) < 1:
            raise ValueError(
                'SceneMemory: num_scenes, people_per_scene and embed_dims '
                f'must be 1 or more, got {num_scenes}, {people_per_scene} '
                f'and {embed_dims}'
            )
        self.num_scenes = num_scenes
        self.people_per_scene = people_per_scene
        self.embed_dims = embed_dims
        self.deferred = False
        self._pending: list[tuple] = []
        rows, shape = num_scenes + 1, (people_per_scene, embed_dims)
        half = torch.float16
        self.register_buffer('frames', torch.full((rows,), -1))
        self.register_buffer('scenes', torch.zeros(rows, embed_dims).to(half))
        self.register_buffer('people', torch.zeros(rows, *shape, dtype=half))
        self.register_buffer(
            'person_ids', torch.full((rows, people_per_scene), NOBODY)
        )

    @torch.no_grad()
    def draw(
        self,
        person_ids: Tensor,
        owners: Tensor,
        frame_ids: Tensor,
        num_people: int,
    ) -> SceneSample:
        """Draw scenes that have to do with people of a batch.

        For some labelled people, drawn without repetition: one other scene
        with the person, and one without, but with another labelled person of
        the own scene, which is hard to tell from it. No scene is drawn
        twice.

        Args:
            person_ids: (Q,) of the batch's people, -1 for unlabelled ones.
            owners: (Q,) index of the scene of each.
            frame_ids: (I,) of the batch's scenes, which are not drawn.
            num_people: For how many, published is the number of scenes.

        Returns:
            Up to 2 ``num_people`` scenes; those with the people come first.
        """
        held = self.person_ids[:-1]
        usable = (self.frames[:-1] >= 0) & ~torch.isin(
            self.frames[:-1], frame_ids
        )
        labelled = person_ids >= 0
        same = (person_ids[:, None] == person_ids) & labelled
        first = labelled & ~same.tril(-1).any(1)
        drawn = torch.rand(len(person_ids), device=person_ids.device)
        drawn = torch.where(first, drawn, -1.0)
        count = min(num_people, len(person_ids))
        chosen, picks = drawn.topk(count)
        # (S, Q): whether a stored scene has a person of the batch.
        has = (held[:, :, None] == person_ids).any(1) & labelled
        holds = has[:, picks]
        own = owners[:, None] == owners[picks]
        shares = has.float() @ own.float() > 0
        masks = torch.cat((holds, ~holds & shares), 1).T
        masks = masks & usable & (chosen >= 0).repeat(2)[:, None]
        places = torch.where(
            masks, torch.rand(masks.shape, device=masks.device), -1.0
        )
        best, rows = places.max(1)
        valid = best >= 0
        again = (rows[:, None] == rows) & valid
        valid = valid & ~again.tril(-1).any(1)
        return SceneSample(
            self.scenes[rows].float(),
            valid,
            self.people[rows].float(),
            self.person_ids[rows],
        )

    @torch.no_grad()
    def update(
        self,
        frame_ids: Tensor,
        scenes: Tensor,
        people: Tensor,
        person_ids: Tensor,
    ) -> None:
        """Keep the scenes of a step, in place of what the frames had.

        Scenes without people and those whose values are not finite are left
        out. With several processes all scenes are gathered: each must call
        this once per step. While ``deferred`` is True nothing is written
        until :meth:`commit`.

        Args:
            frame_ids: (I,) index of every frame in the data set.
            scenes: (I, D) embeddings; the graph is not kept.
            people: (I, P, D).
            person_ids: (I, P), -2 where there is nobody.
        """
        step = (frame_ids, scenes.detach(), people.detach(), person_ids)
        if self.deferred:
            self._pending.append(step)
        else:
            self._write(*step)

    @torch.no_grad()
    def commit(self) -> None:
        """Write what was deferred, in the order of its calls."""
        pending, self._pending = self._pending, []
        for step in pending:
            self._write(*step)

    def discard(self) -> None:
        """Forget what was deferred."""
        self._pending = []

    def reset(self) -> None:
        """Empty all places."""
        self.frames.fill_(-1)
        self.person_ids.fill_(NOBODY)
        self.scenes.zero_()
        self.people.zero_()

    def _write(
        self,
        frame_ids: Tensor,
        scenes: Tensor,
        people: Tensor,
        person_ids: Tensor,
    ) -> None:
        # Ids are small enough to be exact as numbers of single precision.
        parts = (scenes.float(), people.float().flatten(1), person_ids.float())
        x, frames = gather_samples(torch.cat(parts, 1), frame_ids)
        person_ids = x[:, -self.people_per_scene :].long()
        places = frames % self.num_scenes
        keep = (person_ids != NOBODY).any(1) & x.isfinite().all(1)
        later = (places[:, None] == places) & keep
        keep = keep & ~later.triu(1).any(1)
        # The last row takes what is not kept, always the same.
        places = torch.where(keep, places, self.num_scenes)
        x = torch.where(keep[:, None], x, 0.0)
        scenes, people, _ = x.split([part.size(1) for part in parts], 1)
        self.frames[places] = torch.where(keep, frames, -1)
        self.scenes[places] = scenes.to(self.scenes.dtype)
        self.people[places] = people.unflatten(
            1, (self.people_per_scene, self.embed_dims)
        ).to(self.people.dtype)
        self.person_ids[places] = torch.where(
            keep[:, None], person_ids, NOBODY
        )

    def extra_repr(self) -> str:
        """Options shown by ``print``."""
        return (
            f'num_scenes={self.num_scenes}, '
            f'people_per_scene={self.people_per_scene}, '
            f'embed_dims={self.embed_dims}'
        )
