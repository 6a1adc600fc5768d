"""The gallery filter: whether a person is likely to be in a scene at all."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.dist import get_rank
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from ..losses.functional import scene_pairs
from ..memories.scene_memory import NOBODY, SceneSample
from ..utils import gather_samples
from ..utils.precision import precise


@MODELS.register_module()
class GalleryFilter(BaseModule):
    r"""Embeddings of whole scenes, compared with people (GFN).

    The map of a scene is pooled to one size, as if it were one large RoI,
    and goes through a last stage and a projection of its own. A person's
    embedding q gates it: ``f(q, s) = BN(s * sigmoid(q / temperature))``. Two
    scenes are as close for this person as ``f(q, own scene)`` and ``f(q,
    other scene)``, by cosine. In training, scenes with the person are to be
    close and others not; at test the sigmoid of the cosine is a factor of
    the similarities of a frame's people, and frames far away need no
    detection.

    People of every process are compared with the scenes of all; batch
    statistics are of each process, as of other batch norms.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (GFN), WACV 2023, section 3.3, the combined form.

    Args:
        shared_head (dict): From pooled maps to the last stage, such as
            :class:`BackboneStage`.
        projection (dict): From both maps' vectors to the embedding. Defaults
            to the re-id head's.
        embed_dims (int): As of people. The RoI head gives it.
        pool_size (int): Side of the pooled map. Defaults to 56.
        level (int): Which level of the neck is read. Defaults to 0.
        temperature (float): Of the gate. Defaults to 0.2.
        pooling (dict, optional): From maps to vectors. Defaults to
            ``dict(type='mmps.MaxPooling')``.
        loss_scene (dict, optional): Defaults to
            ``dict(type='mmps.NTXentLoss')``.
        memory (dict, optional): :class:`SceneMemory` of past scenes, which
            the batch's are compared with, too. Defaults to None.

    Raises:
        ValueError: The projection has another size than people.
    """

    def __init__(
        self,
        shared_head: dict,
        projection: dict,
        embed_dims: int,
        pool_size: int = 56,
        level: int = 0,
        temperature: float = 0.2,
        pooling: dict | None = None,
        loss_scene: dict | None = None,
        memory: dict | None = None,
    ) -> None:
        super().__init__()
        self.shared_head = MODELS.build(shared_head)
        self.pooling = MODELS.build(pooling or dict(type='mmps.MaxPooling'))
        self.projection = MODELS.build(projection)
        if self.projection.embed_dims != embed_dims:
            raise ValueError(
                'GalleryFilter: its projection has embed_dims='
                f'{self.projection.embed_dims}, that of reid_head '
                f'{embed_dims}; people gate scenes value by value, give both '
                'the same'
            )
        if len(self.projection.in_channels) == 1 and hasattr(
            self.shared_head, 'drop_before'
        ):
            self.shared_head.drop_before()
        self.pool_size = pool_size
        self.level = level
        self.temperature = temperature
        self.norm = nn.BatchNorm1d(embed_dims)
        self.loss_scene = MODELS.build(
            loss_scene or dict(type='mmps.NTXentLoss')
        )
        self.memory = None
        if memory is not None:
            self.memory = MODELS.build(
                {
                    'type': 'mmps.SceneMemory',
                    'embed_dims': embed_dims,
                    **memory,
                }
            )

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """Embed scenes.

        Args:
            x: Levels of the neck, (N, C, H, W).

        Returns:
            (N, D) unit embeddings, at least float32.
        """
        pooled = F.adaptive_max_pool2d(x[self.level], self.pool_size)
        shared = self.shared_head(pooled)
        maps = [pooled, shared] if torch.is_tensor(shared) else shared
        maps = maps[-len(self.projection.in_channels) :]
        scenes = self.projection([self.pooling(one)[0] for one in maps])
        return F.normalize(precise(scenes), dim=1)

    def gate(self, people: Tensor) -> Tensor:
        """(Q, D) embeddings of people to weights in 0..1."""
        unit = F.normalize(precise(people), dim=1)
        return (unit / self.temperature).sigmoid()

    def filters(self, people: Tensor, scenes: Tensor) -> Tensor:
        """What :func:`scene_scores` compares with scenes, at test.

        Args:
            people: (Q, D) embeddings.
            scenes: (Q, D) of the scene that each was seen in.

        Returns:
            (Q, 3, D), which is the gate with the norm's scale, the norm's
            shift, and the unit vector of the person in the own scene.
        """
        norm = self.norm
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        gate = self.gate(people) * scale
        direction = F.normalize(gate * scenes + shift, dim=1)
        return torch.stack((gate, shift.expand_as(gate), direction), 1)

    def loss(
        self,
        x: tuple[Tensor, ...],
        people: Tensor,
        person_ids: Tensor,
        counts: list[int],
        frame_ids: list[int],
    ) -> dict[str, Tensor]:
        """Loss of one batch; then its scenes are kept.

        Args:
            x: Levels of the neck, of I scenes.
            people: (Q, D) embeddings of all annotated people, scene by
                scene.
            person_ids: (Q,) contiguous ids, -1 for unlabelled people.
            counts: How many each scene has.
            frame_ids: Index of each scene's frame in the data set.

        Returns:
            ``loss_scene``.
        """
        # Sampled products of small numbers: not in half precision.
        scenes = self(x)
        with torch.autocast(scenes.device.type, enabled=False):
            return dict(
                loss_scene=self._loss(
                    scenes, precise(people), person_ids, counts, frame_ids
                )
            )

    def _loss(
        self,
        scenes: Tensor,
        people: Tensor,
        person_ids: Tensor,
        counts: list[int],
        frame_ids: list[int],
    ) -> Tensor:
        batch = _gather(scenes, person_ids, counts, frame_ids)
        scenes, ids, owners = batch.scenes, batch.person_ids, batch.owners
        valid = torch.ones_like(batch.frames, dtype=torch.bool)
        rows = batch.first + torch.arange(len(people), device=ids.device)
        if self.memory is not None:
            drawn = self.memory.draw(
                person_ids, owners[rows], batch.frames, len(counts)
            )
            self._keep(batch.own, people, person_ids)
            past = _flat(drawn, len(scenes))
            past_rows = torch.arange(len(past[1]), device=ids.device)
            rows = torch.cat((rows, len(ids) + past_rows))
            scenes = torch.cat((scenes, drawn.scenes.to(scenes)))
            valid = torch.cat((valid, drawn.valid))
            people = torch.cat((people, past[0].to(people)))
            ids = torch.cat((ids, past[1]))
            owners = torch.cat((owners, past[2]))
        positive, negative = scene_pairs(ids, owners, len(scenes))
        owners = owners[rows]
        counted = valid[:, None] & (owners >= 0)
        similarities = self._similarities(people, owners, scenes, counted)
        return self.loss_scene(
            similarities,
            positive[:, rows] & counted,
            negative[:, rows] & counted,
        )

    def _similarities(
        self, people: Tensor, owners: Tensor, scenes: Tensor, counted: Tensor
    ) -> Tensor:
        """(I, Q) cosines of scenes with the own scenes of people."""
        fused = self._normalise(scenes[:, None] * self.gate(people), counted)
        index = torch.arange(len(people), device=people.device)
        own = fused[owners.clamp(min=0), index]
        return F.cosine_similarity(fused, own[None], dim=2, eps=1e-6)

    def _normalise(self, fused: Tensor, counted: Tensor) -> Tensor:
        """Batch norm of (I, Q, D) over the pairs that count."""
        norm = self.norm
        if not norm.training or fused.size(1) == 0:
            return F.batch_norm(
                fused.flatten(0, 1),
                norm.running_mean,
                norm.running_var,
                norm.weight,
                norm.bias,
                eps=norm.eps,
            ).view_as(fused)
        weights = counted.to(fused)
        total = weights.sum().clamp(min=1)
        mean = torch.einsum('iq,iqd->d', weights, fused) / total
        centred = fused - mean
        variance = torch.einsum('iq,iqd->d', weights, centred**2) / total
        with torch.no_grad():
            norm.num_batches_tracked += 1
            norm.running_mean.lerp_(mean, norm.momentum)
            unbiased = variance * total / (total - 1).clamp(min=1)
            norm.running_var.lerp_(unbiased, norm.momentum)
        scale = (variance + norm.eps).rsqrt() * norm.weight
        return centred * scale + norm.bias

    def _keep(
        self,
        own: tuple[Tensor, Tensor, Tensor],
        people: Tensor,
        person_ids: Tensor,
    ) -> None:
        frames, scenes, numbers = own
        places = torch.arange(
            self.memory.people_per_scene, device=people.device
        )
        there = places < numbers[:, None]
        rows = (numbers.cumsum(0) - numbers)[:, None] + places
        rows = torch.where(there, rows, 0)
        if len(people) == 0:
            people = people.new_zeros(1, people.size(1))
            person_ids = person_ids.new_zeros(1)
        self.memory.update(
            frames,
            scenes,
            people[rows] * there[:, :, None],
            torch.where(there, person_ids[rows], NOBODY),
        )


class _Batch(NamedTuple):
    """The scenes of all processes.

    Attributes:
        scenes: (I, D), with gradients.
        frames: (I,) their frames' indices.
        person_ids: (Q,) of everybody in them.
        owners: (Q,) the scene of each.
        first: () index of this process's first person.
        own: Frames, scenes and numbers of people of this process.
    """

    scenes: Tensor
    frames: Tensor
    person_ids: Tensor
    owners: Tensor
    first: Tensor
    own: tuple[Tensor, Tensor, Tensor]


def _gather(
    scenes: Tensor,
    person_ids: Tensor,
    counts: list[int],
    frame_ids: list[int],
) -> _Batch:
    # Numbers of frames are small enough to be exact in single precision.
    rank = get_rank()
    frames = _filled(frame_ids, person_ids)
    numbers = _filled(counts, person_ids)
    tags = torch.stack((torch.full_like(frames, rank), frames), 1)
    x, every = gather_samples(torch.cat((scenes, tags.to(scenes)), 1), numbers)
    _, ids = gather_samples(scenes.new_zeros(len(person_ids), 1), person_ids)
    places = torch.arange(len(x), device=scenes.device)
    return _Batch(
        x[:, :-2],
        x[:, -1].detach().long(),
        ids,
        places.repeat_interleave(every, output_size=len(ids)),
        (every * (x[:, -2].detach() < rank)).sum(),
        (frames, scenes, numbers),
    )


def _filled(values: list[int], like: Tensor) -> Tensor:
    # Numbers that kernels are called with: a copy would have to be waited for.
    return torch.stack([like.new_full((), value) for value in values])


def _flat(drawn: SceneSample, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """People of drawn scenes in one row: embeddings, ids and scenes."""
    ids = drawn.person_ids
    there = (ids != NOBODY) & drawn.valid[:, None]
    owners = torch.arange(first, first + len(ids), device=ids.device)
    owners = torch.where(there, owners[:, None], -1)
    return (
        drawn.people.flatten(0, 1),
        torch.where(there, ids, -1).flatten(),
        owners.flatten(),
    )
