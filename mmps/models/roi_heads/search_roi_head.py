"""A RoI head that detects people and embeds them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from mmdet.models.roi_heads import BaseRoIHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.models.utils import unpack_gt_instances
from mmdet.registry import TASK_UTILS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, bbox_overlaps, get_box_tensor
from mmdet.utils import InstanceList
from mmengine.model import ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmps.registry import MODELS

from ..layers.proto_norm import (
    has_proto_norm,
    prototype_weights,
    weighted_norms,
)
from ..layers.reid_features import ReIDFeatures
from ..memories import needs_cosines
from ..utils import for_roi_align
from .reid_head import ReIDHead
from .roi_prediction import RoIPredictionMixin
from .stages import check_num_reid_stages, check_stages, per_stage


@MODELS.register_module()
class SearchRoIHead(RoIPredictionMixin, BaseRoIHead):
    """Detection and re-identification of RoIs, in one or several stages.

    It takes the place of the RoI head of any two-stage mmdet detector, with
    one feature level (C4) or a pyramid. A stage is RoIAlign, attention on
    the RoI feature, the shared head (layer4 of a C4 detector) and a box
    head; with several stages each but the first works on the boxes of the
    one before (SeqNet, Cascade R-CNN). The re-id head reads the RoI maps of
    the last stage; there may be one for each of the last stages (COAT), whose
    embeddings of a person are combined at test. Query boxes travel in the
    data samples and go through the same parts in the same pass.

    Args:
        bbox_roi_extractor (dict | list[dict]): Of every stage, or of each.
        bbox_head (dict | list[dict]): Of each stage; a dict for one.
            :class:`SearchBBoxHead`, or an mmdet head with one class.
        reid_head (dict): :class:`ReIDHead`.
        num_reid_stages (int): How many stages, counted from the last, embed
            people. Each has a re-id head of its own, with a memory and
            losses. Defaults to 1.
        shared_head (dict | list[dict], optional): Such as
            :class:`BackboneStage`; every stage has a copy of its own. One
            that gives two maps, such as
            :class:`OccludedAttentionTransformer`, replaces the map before
            it, too. Defaults to None.
        attention (dict, optional): On the RoI feature before the shared
            head, such as :class:`PedestrianAttention`, a copy per stage.
            ``in_channels`` are those of the RoI extractor. Defaults to None.
        shallow (dict, optional): :class:`ShallowBranch`, a second embedding
            from shallow levels. Defaults to None.
        gallery_filter (dict, optional): :class:`GalleryFilter`, embeddings
            of whole scenes. Its ``shared_head`` and ``projection`` are those
            of this head unless it has its own. Defaults to None.
        stage_loss_weights (Sequence[float], optional): Of the box losses of
            the stages. Defaults to None, which is 1.
        train_cfg (dict | list[dict], optional): ``assigner`` and ``sampler``
            of every stage, or of each.
        test_cfg (dict, optional): See :class:`RoIPredictionMixin`.

    Raises:
        ValueError: Two parts do not go together; the message says why.
    """

    def __init__(
        self,
        bbox_roi_extractor: dict | Sequence[dict],
        bbox_head: dict | Sequence[dict],
        reid_head: dict,
        num_reid_stages: int = 1,
        shared_head: dict | Sequence[dict] | None = None,
        attention: dict | None = None,
        shallow: dict | None = None,
        gallery_filter: dict | None = None,
        stage_loss_weights: Sequence[float] | None = None,
        train_cfg: dict | Sequence[dict] | None = None,
        test_cfg: dict | None = None,
    ) -> None:
        is_one = isinstance(bbox_head, dict)
        self.num_stages = 1 if is_one else len(bbox_head)
        super().__init__(
            bbox_roi_extractor=bbox_roi_extractor,
            bbox_head=bbox_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
        )
        self.shared_heads = self._build('shared_head', shared_head)
        if attention is not None:
            channels = self.bbox_roi_extractor[0].out_channels
            attention = {'in_channels': channels, **attention}
        self.attention = self._build('attention', attention)
        self.num_reid_stages = num_reid_stages
        check_num_reid_stages(num_reid_stages, self.num_stages)
        self.reid_head = MODELS.build(reid_head)
        self.earlier_reid_heads = ModuleList(
            MODELS.build(reid_head) for _ in range(num_reid_stages - 1)
        )
        self.shallow = MODELS.build(shallow) if shallow else None
        self.gallery_filter = None
        if gallery_filter is not None:
            self.gallery_filter = self._build_filter(
                gallery_filter, shared_head, reid_head
            )
            self.register_load_state_dict_post_hook(_forget_unknown_scenes)
        self.stage_loss_weights = per_stage(
            'stage_loss_weights',
            1.0 if stage_loss_weights is None else list(stage_loss_weights),
            self.num_stages,
        )
        check_stages(self)
        for stage, part in enumerate(self.shared_heads):
            reid = self.reid_head_of(stage)
            unread = reid is None or reid.num_levels == 1
            if unread and hasattr(part, 'drop_before'):
                part.drop_before()

    def _build(self, name: str, cfg: dict | Sequence | None) -> ModuleList:
        # mmengine's list, which initialises what it holds; torch's does not.
        if cfg is None:
            return ModuleList()
        return ModuleList(
            MODELS.build(one) for one in per_stage(name, cfg, self.num_stages)
        )

    def _build_filter(
        self,
        cfg: dict,
        shared_head: dict | Sequence[dict] | None,
        reid_head: dict,
    ) -> nn.Module:
        if shared_head is None and 'shared_head' not in cfg:
            raise ValueError(
                'SearchRoIHead: gallery_filter has a last stage of its own, '
                'but this head has no shared_head to copy; give it one '
                '(gallery_filter.shared_head)'
            )
        of_head = {}
        if shared_head is not None:
            of_head['shared_head'] = per_stage(
                'shared_head', shared_head, self.num_stages
            )[-1]
        projection = reid_head.get('projection')
        of_head['projection'] = projection or dict(
            type='mmps.LinearProjection'
        )
        return MODELS.build(
            {
                'type': 'mmps.GalleryFilter',
                'embed_dims': self.reid_head.embed_dims,
                **of_head,
                **cfg,
            }
        )

    def init_bbox_head(
        self, bbox_roi_extractor: dict | Sequence, bbox_head: dict | Sequence
    ) -> None:
        """Build the box head and RoI extractor of every stage."""
        self.bbox_roi_extractor = self._build(
            'bbox_roi_extractor', bbox_roi_extractor
        )
        self.bbox_head = self._build('bbox_head', bbox_head)

    def init_mask_head(self, *args, **kwargs) -> None:
        """Demanded by mmdet's base class; this head has no masks."""
        raise NotImplementedError('SearchRoIHead has no mask head')

    def init_assigner_sampler(self) -> None:
        """Build the assigner and sampler of every stage."""
        self.bbox_assigner, self.bbox_sampler = [], []
        if self.train_cfg is None:
            return
        self.train_cfg = per_stage(
            'train_cfg', self.train_cfg, self.num_stages
        )
        for cfg in self.train_cfg:
            self.bbox_assigner.append(TASK_UTILS.build(cfg['assigner']))
            self.bbox_sampler.append(
                TASK_UTILS.build(
                    cfg['sampler'], default_args=dict(context=self)
                )
            )

    def roi_maps(
        self, stage: int, x: Sequence[Tensor], rois: Tensor
    ) -> list[Tensor]:
        """Feature maps of RoIs, before and after the shared head.

        Args:
            stage: Index of the stage.
            x: Levels of the neck, (N, C, H, W); the RoI extractor reads the
                first ones.
            rois: (n, 5), image index and xyxy.

        Returns:
            One or two maps (n, C, h, w), the last of which is what boxes are
            made of.
        """
        extractor = self.bbox_roi_extractor[stage]
        levels = [for_roi_align(level) for level in x[: extractor.num_inputs]]
        maps = [extractor(levels, rois)]
        if self.attention:
            maps = [self.attention[stage](maps[0])]
        if self.shared_heads:
            shared = self.shared_heads[stage](maps[0])
            both = not torch.is_tensor(shared)
            maps = list(shared) if both else [*maps, shared]
        return maps

    def reid_head_of(self, stage: int) -> ReIDHead | None:
        """The re-id head of a stage; None if the stage embeds nobody."""
        place = stage - self.num_stages + self.num_reid_stages
        if place < 0:
            return None
        return [*self.earlier_reid_heads, self.reid_head][place]

    def embed(
        self, maps: Sequence[Tensor], stage: int | None = None
    ) -> ReIDFeatures:
        """Embeddings of a stage's RoI maps; by default of the last stage."""
        if stage is None:
            stage = self.num_stages - 1
        classifier = getattr(self.bbox_head[stage], 'classifier', None)
        return self.reid_head_of(stage)(
            maps, with_readout=getattr(classifier, 'needs_readout', False)
        )

    def detect(
        self, stage: int, maps: Sequence[Tensor], reid: ReIDFeatures | None
    ) -> tuple[Tensor, Tensor]:
        """Logits (n, 2), person first, and deltas (n, 4) of one stage."""
        head = self.bbox_head[stage]
        if getattr(head, 'needs_reid', False):
            return head(maps[-1], reid)
        return head(maps[-1])

    def run_stage(
        self, stage: int, x: Sequence[Tensor], rois: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor], ReIDFeatures | None]:
        """What a stage makes of RoIs, for prediction.

        Args:
            stage: Index of the stage.
            x: Levels of the neck.
            rois: (n, 5), image index and xyxy.

        Returns:
            (n, 2) logits, (n, 4) deltas, the RoI maps, and the embeddings if
            detection reads them.
        """
        maps = self.roi_maps(stage, x, rois)
        reid = None
        if getattr(self.bbox_head[stage], 'needs_reid', False):
            reid = self.embed(maps, stage)
        return *self.detect(stage, maps, reid), maps, reid

    def loss(
        self,
        x: Sequence[Tensor],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """Losses of all stages and of re-identification.

        Args:
            x: Levels of the neck.
            rpn_results_list: Proposals per image.
            batch_data_samples: With ``person_ids`` (n,) in the ground truth.

        Returns:
            ``loss_cls``, ``loss_bbox``, ``acc`` (behind ``s0.``, ``s1.``,
            ... with several stages), ``loss_reid`` and what the parts add
            (likewise, with several re-id stages; ``loss_scene`` of a gallery
            filter).
        """
        truth = unpack_gt_instances(batch_data_samples)
        proposals = rpn_results_list
        losses = {}
        for stage in range(self.num_stages):
            samples = self._sample(stage, proposals, *truth[:2])
            rois = bbox2roi([s.priors for s in samples])
            people, person_ids, background = _people_and_background(
                samples, truth[0]
            )
            reid = None
            with self._identities(stage, len(rois), people, person_ids):
                maps = self.roi_maps(stage, x, rois)
                if self.reid_head_of(stage) is not None:
                    reid = self.embed(maps, stage)
            scores, deltas = self.detect(stage, maps, reid)
            head = self.bbox_head[stage]
            found = head.loss_and_target(
                scores, deltas, rois, samples, self.train_cfg[stage]
            )
            box_losses = found['loss_bbox']
            if getattr(head, 'pixelwise', False):
                box_losses['loss_cls'] = head.pixel_loss(
                    reid.attention, rois, found['bbox_targets']
                )
            losses.update(self._name_losses(stage, box_losses))
            if reid is not None:
                who = (people, person_ids, background)
                losses.update(
                    self._reid_losses(stage, x, rois, reid, samples, who)
                )
            if stage < self.num_stages - 1:
                with torch.no_grad():
                    proposals = head.refine_bboxes(
                        samples,
                        dict(
                            cls_score=scores,
                            bbox_pred=deltas,
                            rois=rois,
                            bbox_targets=found['bbox_targets'],
                        ),
                        truth[2],
                    ) or [
                        # mmdet gives nothing at all for no RoI at all.
                        InstanceData(bboxes=rois.new_zeros(0, 4))
                        for _ in samples
                    ]
        if self.gallery_filter is not None:
            losses.update(self._scene_loss(x, truth[0], batch_data_samples))
        return losses

    def _scene_loss(
        self,
        x: Sequence[Tensor],
        gt_instances: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """Annotated people, compared with scenes."""
        stage = self.num_stages - 1
        rois = bbox2roi([get_box_tensor(gt.bboxes) for gt in gt_instances])
        person_ids = torch.cat([gt.person_ids for gt in gt_instances])
        everybody = torch.arange(len(rois), device=rois.device)
        with self._identities(stage, len(rois), everybody, person_ids):
            people = self.embed(self.roi_maps(stage, x, rois)).embeddings
        return self.gallery_filter.loss(
            x,
            people,
            person_ids,
            [len(gt) for gt in gt_instances],
            [int(sample.img_id) for sample in batch_data_samples],
        )

    def _reid_losses(
        self,
        stage: int,
        x: Sequence[Tensor],
        rois: Tensor,
        reid: ReIDFeatures,
        samples: Sequence[SamplingResult],
        who: tuple[Tensor, Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """Losses of a stage's people; the shallow branch is of the last."""
        people, person_ids, background = who
        ious = None
        if self._needs_ious(stage):
            ious = _overlaps(samples, rois[people, 1:])
        head = self.reid_head_of(stage)
        shallow = self.shallow if stage == self.num_stages - 1 else None
        readout = head.read(reid, people, shared=needs_cosines(shallow))
        losses = {}
        if shallow is not None:
            losses.update(
                shallow.loss(x, rois[people], person_ids, readout, ious)
            )
        losses.update(
            head.loss(reid, people, person_ids, readout, background, ious)
        )
        if self.num_reid_stages == 1:
            return losses
        return {f's{stage}.{name}': value for name, value in losses.items()}

    def _needs_ious(self, stage: int) -> bool:
        heads = [self.reid_head_of(stage)]
        if self.shallow is not None and stage == self.num_stages - 1:
            heads.append(self.shallow.reid_head)
        return any(head.memory.needs_ious for head in heads)

    def _identities(
        self, stage: int, count: int, people: Tensor, person_ids: Tensor
    ) -> AbstractContextManager:
        """Where norms by person are used, tell them whose RoIs they get."""
        modules = [*self.shared_heads[stage : stage + 1]]
        if (reid_head := self.reid_head_of(stage)) is not None:
            modules.append(reid_head)
        if not has_proto_norm(modules):
            return nullcontext()
        num_ids = self.reid_head.memory.num_ids
        weights = prototype_weights(count, people, person_ids, num_ids)
        return weighted_norms(modules, weights)

    def _sample(
        self,
        stage: int,
        proposals: InstanceList,
        gt_instances: InstanceList,
        ignored: InstanceList,
    ) -> list[SamplingResult]:
        assigner, sampler = self.bbox_assigner[stage], self.bbox_sampler[stage]
        samples = []
        for found, gt, ignore in zip(
            proposals, gt_instances, ignored, strict=True
        ):
            found.priors = found.pop('bboxes')
            assigned = assigner.assign(found, gt, ignore)
            samples.append(sampler.sample(assigned, found, gt))
        return samples

    def _name_losses(self, stage: int, losses: dict) -> dict:
        weight = self.stage_loss_weights[stage]
        prefix = f's{stage}.' if self.num_stages > 1 else ''
        return {
            prefix + name: value * weight if 'loss' in name else value
            for name, value in losses.items()
        }

    def forward(
        self,
        x: Sequence[Tensor],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList | None = None,
    ) -> tuple[Tensor, ...]:
        """Raw outputs of the last stage on the proposals, without NMS.

        Returns:
            (n, 2) logits, (n, 4) deltas, (n, D) unit embeddings.
        """
        rois = bbox2roi([get_box_tensor(p.bboxes) for p in rpn_results_list])
        for stage in range(self.num_stages - 1):
            deltas = self.run_stage(stage, x, rois)[1]
            boxes = self.bbox_head[stage].bbox_coder.decode(
                rois[:, 1:], deltas
            )
            rois = torch.cat((rois[:, :1], get_box_tensor(boxes)), 1)
        scores, deltas, maps, reid = self.run_stage(
            self.num_stages - 1, x, rois
        )
        return scores, deltas, (reid or self.embed(maps)).embeddings


def _forget_unknown_scenes(head: SearchRoIHead, _: object) -> None:
    """Empty the memory of scenes with that of identities.

    Its person ids are contiguous, and now of other people.
    """
    scenes = head.gallery_filter.memory
    known = head.reid_head.memory.prototypes_filled.any()
    if scenes is not None and not known:
        scenes.reset()


def _overlaps(samples: Sequence[SamplingResult], boxes: Tensor) -> Tensor:
    """IoU of people's RoIs with their annotated boxes, in the same order."""
    truth = [
        s.pos_gt_bboxes[s.pos_is_gt.argsort(stable=True)] for s in samples
    ]
    return bbox_overlaps(boxes, torch.cat(truth), is_aligned=True)


def _people_and_background(
    samples: Sequence[SamplingResult], gt_instances: InstanceList
) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the RoIs that are people, their ids, and the other RoIs.

    Every image has its people first. Of these, ground-truth boxes come last
    here: they are the last to move their prototype, as in the published code
    of SeqNet, NAE and HOIM, while mmdet's samplers put them first.

    The numbers are known to the host, so the device is not waited for.
    """
    people, person_ids, background, start = [], [], [], 0
    for sample, gt in zip(samples, gt_instances, strict=True):
        order = sample.pos_is_gt.argsort(stable=True)
        people.append(start + order)
        person_ids.append(gt.person_ids[sample.pos_assigned_gt_inds[order]])
        start += len(order)
        others = torch.arange(len(sample.neg_priors), device=order.device)
        background.append(start + others)
        start += len(others)
    return torch.cat(people), torch.cat(person_ids), torch.cat(background)
