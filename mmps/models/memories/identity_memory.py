"""The memory of identity prototypes and unlabelled people behind OIM."""

import logging
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmps.models.utils.person_ids import as_raw_person_ids, check_person_ids
from mmps.registry import MODELS

from ..utils import gather_samples
from .compatibility import (
    compare_person_ids,
    compare_state,
    of_unknown_people,
    person_ids_known,
)
from .readout import MemoryReadout

_UNRESOLVED = (
    "IdentityMemory has num_ids='auto' and does not know its identities yet: "
    'train with the hook mmps.ResolvePersonIdsHook, call resolve(), or load '
    'a checkpoint'
)

_EXPECTED = {
    'num_ids': "a positive integer or 'auto'",
    'embed_dims': 'a positive integer',
    'queue_size': 'an integer, 0 or more',
    'background_size': 'an integer, 0 or more',
    'unfilled': "'zero' or 'mask'",
    'on_mismatch': "'error' or 'reset'",
}


def _require(name: str, value: object, fits: bool) -> None:
    if not fits:
        raise ValueError(
            f'IdentityMemory: {name} must be {_EXPECTED[name]}, got {value!r}'
        )


def _is_size(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


@MODELS.register_module()
class IdentityMemory(nn.Module):
    """Prototypes of L labelled identities and a queue of unlabelled people.

    Everything is a buffer, hence saved in checkpoints: ``prototypes``
    (L, D), ``prototypes_filled`` (L,) bool, ``queue`` (Q, D),
    ``queue_filled`` (Q,) bool, ``queue_pointer`` () int64 and
    ``raw_person_ids`` (L,) int64, the data set's own id of every row (-1
    while unknown); with a background queue (HOIM) also ``background`` (B, D),
    ``background_filled`` (B,) and ``background_pointer`` (). Rows are zero at
    the start and unit vectors once filled (prototypes if their rule makes
    them so), and stay float32 (or float64) whatever the model is cast to.
    ``deferred`` (False at first) holds writes back until :meth:`commit` or
    :meth:`discard`.

    >>> import torch
    >>> from mmps.models.losses import OIMLoss
    >>> from mmps.models.memories import IdentityMemory
    >>> memory = IdentityMemory(num_ids=3, embed_dims=2, queue_size=1)
    >>> x, person_ids = torch.eye(2), torch.tensor([2, -1])
    >>> loss = OIMLoss()(memory(x), person_ids)  # the memory is empty
    >>> round(loss.item(), 4)  # log 4
    1.3863
    >>> memory.update(x, person_ids)
    >>> memory.prototypes[2], memory.queue[0]
    (tensor([1., 0.]), tensor([0., 1.]))

    Source: Xiao et al., "Joint Detection and Identification Feature Learning
    for Person Search", CVPR 2017, section 3.3.

    Args:
        num_ids: Number of labelled identities L; ``'auto'`` takes it from
            the training data set (:meth:`resolve`) or from the checkpoint.
            Defaults to 'auto'.
        embed_dims: Embedding size D. Defaults to 256.
        queue_size: Number of queue slots Q, 0 for none. Defaults to 5000.
        update: Config of the prototype rule, a :class:`BaseUpdateRule`.
            Defaults to ``dict(type='mmps.MomentumUpdate', momentum=0.5)``.
        queue: Config of the queue rule, a :class:`BaseQueueRule`. Defaults
            to ``dict(type='mmps.CircularQueue')``.
        background_size: Number of slots B for background features, 0 for
            none. Defaults to 0.
        background: Config of their queue rule. Defaults to ``dict(
            type='mmps.SelectiveRefreshQueue')``.
        unfilled: Rows that hold nothing yet take part in the softmax with
            logit 0 (``'zero'``, as published) or not at all (``'mask'``).
            Defaults to 'zero'.
        on_mismatch: A checkpoint or data set whose identities differ from
            the ones known is an error (``'error'``) or empties the memory
            with a warning (``'reset'``). Defaults to 'error'.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        num_ids: int | Literal['auto'] = 'auto',
        embed_dims: int = 256,
        queue_size: int = 5000,
        update: dict | None = None,
        queue: dict | None = None,
        background_size: int = 0,
        background: dict | None = None,
        unfilled: Literal['zero', 'mask'] = 'zero',
        on_mismatch: Literal['error', 'reset'] = 'error',
    ) -> None:
        super().__init__()
        _require('num_ids', num_ids, _is_size(num_ids, 1) or num_ids == 'auto')
        _require('embed_dims', embed_dims, _is_size(embed_dims, 1))
        _require('queue_size', queue_size, _is_size(queue_size, 0))
        _require(
            'background_size', background_size, _is_size(background_size, 0)
        )
        _require('unfilled', unfilled, unfilled in ('zero', 'mask'))
        _require('on_mismatch', on_mismatch, on_mismatch in ('error', 'reset'))
        self.configured_num_ids = num_ids
        self.embed_dims = embed_dims
        self.deferred = False
        self._pending: list[tuple] = []
        self.unfilled = unfilled
        self.on_mismatch = on_mismatch
        self.update_rule = MODELS.build(
            update or dict(type='mmps.MomentumUpdate', momentum=0.5)
        )
        self.queue_rule = MODELS.build(
            queue or dict(type='mmps.CircularQueue')
        )
        self.register_buffer('prototypes', torch.empty(0, embed_dims))
        self.register_buffer('prototypes_filled', torch.empty(0).bool())
        self.register_buffer('queue', torch.zeros(queue_size, embed_dims))
        self.register_buffer('queue_filled', torch.zeros(queue_size).bool())
        self.register_buffer('queue_pointer', torch.tensor(0))
        self.register_buffer('raw_person_ids', torch.empty(0).long())
        if queue_size:
            self.queue_rule.allocate(queue_size)
        self.background_size = background_size
        if background_size:
            self.background_rule = MODELS.build(
                background or dict(type='mmps.SelectiveRefreshQueue')
            )
            rows = torch.zeros(background_size, embed_dims)
            self.register_buffer('background', rows)
            self.register_buffer('background_filled', rows.any(1))
            self.register_buffer('background_pointer', torch.tensor(0))
            self.background_rule.allocate(background_size)
        if num_ids != 'auto':
            self._allocate_prototypes(num_ids)

    @property
    def num_ids(self) -> int:
        """Number of identities L; 0 while ``'auto'`` is unresolved."""
        return len(self.prototypes)

    @property
    def queue_size(self) -> int:
        """Number of queue slots Q."""
        return len(self.queue)

    @property
    def needs_ious(self) -> bool:
        """Whether :meth:`update` needs the overlap of the people's boxes."""
        return self.update_rule.needs_ious

    def _allocate_prototypes(self, num_ids: int) -> None:
        rows = self.prototypes
        self.prototypes = rows.new_zeros(num_ids, self.embed_dims)
        self.prototypes_filled = self.queue_filled.new_zeros(num_ids)
        self.raw_person_ids = self.queue_pointer.new_full((num_ids,), -1)

    @torch.no_grad()
    def reset(self) -> None:
        """Empty prototypes and queues; sizes and identities stay."""
        for name, buffer in self.named_buffers(recurse=False):
            if name != 'raw_person_ids':
                buffer.zero_()
        self.queue_rule.reset()
        if self.background_size:
            self.background_rule.reset()

    def resolve(self, raw_person_ids: Sequence[int]) -> None:
        """Tell the memory which identities its rows stand for.

        Repeating the call with the same identities changes nothing.

        Args:
            raw_person_ids: The data set's own ids (distinct, not negative);
                the index is the contiguous id used in training.

        Raises:
            TypeError: Not a sequence of integers.
            ValueError: No id, a negative or a repeated one; a number of ids
                that contradicts ``num_ids``; other ids than those known
                (unless ``on_mismatch='reset'``).
        """
        raw = as_raw_person_ids('IdentityMemory', raw_person_ids)
        raw = raw.to(self.raw_person_ids.device)
        if self.configured_num_ids not in ('auto', len(raw)):
            raise ValueError(
                f'IdentityMemory: num_ids={self.configured_num_ids} in the '
                f'config, but the data set has {len(raw)} labelled '
                "identities; set num_ids='auto'"
            )
        if self.num_ids == 0:
            self._allocate_prototypes(len(raw))
        elif fault := compare_person_ids(self.raw_person_ids, raw, 'data set'):
            self._mismatch([fault])
            self._allocate_prototypes(len(raw))
            self.reset()
        self.raw_person_ids = raw

    def _mismatch(self, faults: list[str]) -> None:
        text = '; '.join(faults)
        if self.on_mismatch == 'error':
            raise ValueError(
                f'IdentityMemory: {text}. To start with an empty memory set '
                "on_mismatch='reset' in its config"
            )
        self._say_empty(f"{text} (on_mismatch='reset')")

    @staticmethod
    def _say_empty(reason: str) -> None:
        print_log(
            f'IdentityMemory: {reason}. The memory starts empty',
            logger='current',
            level=logging.WARNING,
        )

    def forward(self, x: Tensor, shared: bool = False) -> MemoryReadout:
        """Compare embeddings with the memory as it stands.

        Args:
            x: (N, D) unit embeddings of any floating dtype.
            shared: Whether a part besides the re-id loss needs the cosines,
                see :class:`MemoryReadout`. Defaults to False.

        Returns:
            A snapshot and its products; later updates do not touch them.

        Raises:
            RuntimeError: ``num_ids='auto'`` is not resolved.
            ValueError: Wrong shape.
        """
        self._check(x)
        rows = torch.cat([self.prototypes, self.queue])
        filled = torch.cat([self.prototypes_filled, self.queue_filled])
        background = background_valid = None
        if self.background_size:
            background = self.background.clone()
            background_valid = self._takes_part(self.background_filled)
        return MemoryReadout(
            x=x,
            rows=rows,
            valid=self._takes_part(filled),
            filled=filled,
            num_ids=self.num_ids,
            queue_pointer=self.queue_pointer.clone(),
            background_rows=background,
            background_valid=background_valid,
            shared=shared,
        )

    def _takes_part(self, filled: Tensor) -> Tensor | None:
        # None: a mask of nothing would cost a pass over all similarities.
        return filled.clone() if self.unfilled == 'mask' else None

    @torch.no_grad()
    def update(
        self,
        x: Tensor,
        person_ids: Tensor,
        background: Tensor | None = None,
        ious: Tensor | None = None,
    ) -> None:
        """Write one training step's embeddings, after the loss has read.

        Labelled samples move their prototype, unlabelled ones enter the
        queue, background the background queue, each in batch order; samples
        that are zero or not finite do nothing. With several processes all
        samples are gathered and every process applies the same update: each
        must call this once per step, also with N = 0.

        While ``deferred`` is True nothing is written until
        :meth:`commit`, so that a step can be checked first.

        Args:
            x: (N, D) unit embeddings of people; the graph is not kept.
            person_ids: (N,) integer contiguous ids, -1 for unlabelled.
            background: (M, D) unit embeddings of background, not used
                without a background queue. Defaults to None, which is none.
            ious: (N,) overlap of the people's boxes with those they were
                annotated with, for an update rule that needs them
                (``needs_ious``). Defaults to None.

        Raises:
            RuntimeError: ``num_ids='auto'`` is not resolved.
            TypeError: ``person_ids`` are not integers.
            ValueError: Wrong shapes, no ``ious`` for a rule that needs them
                or, on the CPU, an id above L - 1.
        """
        self._check(x, person_ids)
        if background is not None:
            self._check(background)
        if self.needs_ious and (ious is None or len(ious) != len(x)):
            raise ValueError(
                f'IdentityMemory: {type(self.update_rule).__name__} needs '
                f'the IoU of {len(x)} boxes, as the heads of mmps give it'
            )
        if self.deferred:
            self._pending.append((x.detach(), person_ids, background, ious))
        else:
            self._write(x, person_ids, background, ious)

    @torch.no_grad()
    def commit(self) -> None:
        """Write what was deferred, in the order of its calls."""
        pending, self._pending = self._pending, []
        for samples in pending:
            self._write(*samples)

    def discard(self) -> None:
        """Forget what was deferred."""
        self._pending = []

    def _write(
        self,
        x: Tensor,
        person_ids: Tensor,
        background: Tensor | None,
        ious: Tensor | None,
    ) -> None:
        if self.background_size:
            self._update_background(
                x[:0] if background is None else background
            )
        x = x.detach().to(self.prototypes.dtype)
        if self.needs_ious:
            # They travel with the embeddings.
            x = torch.cat((x, ious.to(x)[:, None]), 1)
        x, person_ids = gather_samples(x, person_ids.long())
        of_rule = {}
        if self.needs_ious:
            x, of_rule['ious'] = x[:, :-1], x[:, -1]
        with torch.autocast(x.device.type, enabled=False):
            usable = x.isfinite().all(1) & x.any(1)
            if self.queue_size:
                self.queue_rule(
                    self.queue,
                    self.queue_filled,
                    self.queue_pointer,
                    x,
                    usable & (person_ids < 0),
                    self.prototypes,
                    self.prototypes_filled,
                )
            if len(x):
                self.update_rule(
                    self.prototypes,
                    self.prototypes_filled,
                    x,
                    person_ids,
                    usable,
                    **of_rule,
                )

    def _update_background(self, x: Tensor) -> None:
        """Before people change the rows that it is compared with."""
        x, _ = gather_samples(
            x.detach().to(self.background.dtype),
            self.background_pointer.new_full((len(x),), -1),
        )
        with torch.autocast(x.device.type, enabled=False):
            self.background_rule(
                self.background,
                self.background_filled,
                self.background_pointer,
                x,
                x.isfinite().all(1) & x.any(1),
                torch.cat([self.prototypes, self.queue]),
                torch.cat([self.prototypes_filled, self.queue_filled]),
            )

    def _check(self, x: Tensor, person_ids: Tensor | None = None) -> None:
        if self.num_ids == 0:
            raise RuntimeError(_UNRESOLVED)
        if x.dim() != 2 or x.size(1) != self.embed_dims:
            raise ValueError(
                f'IdentityMemory: expected embeddings of shape '
                f'(N, {self.embed_dims}), got {tuple(x.shape)}'
            )
        if person_ids is None:
            return
        check_person_ids('IdentityMemory', person_ids, len(x), self.num_ids)

    def _apply(self, fn: Callable, recurse: bool = True) -> nn.Module:
        # Model-wide casts to half would ruin the running averages.
        def keep_precision(tensor: Tensor) -> Tensor:
            out = fn(tensor)
            if tensor.is_floating_point() and out.itemsize < 4:
                out = tensor.to(out.device)
            return out

        return super()._apply(keep_precision, recurse)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, *args, **kwargs
    ) -> None:
        # Raised here and not reported: mmengine only logs what
        # load_state_dict reports, and would train on with an empty memory.
        stored = {
            name: state_dict[prefix + name]
            for name in self._buffers
            if prefix + name in state_dict
        }
        if stored:
            faults = compare_state(self._buffers, stored)
            unknown = of_unknown_people(self._buffers, stored)
            if faults:
                self._mismatch(faults)
            elif unknown:
                self._say_empty(
                    f'the checkpoint has {len(stored["prototypes"])} '
                    'identities and does not say which, the data set '
                    f'{self.num_ids}'
                )
            if faults or unknown:
                self.reset()
                # torch hands this very dict on to the rules.
                state_dict.update(self.state_dict(prefix=prefix))
            else:
                self._adopt(stored)
                state_dict[prefix + 'raw_person_ids'] = self.raw_person_ids
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _adopt(self, stored: dict[str, Tensor]) -> None:
        raw = stored['raw_person_ids']
        if self.num_ids == 0:
            self._allocate_prototypes(len(raw))
        if not person_ids_known(self.raw_person_ids):
            self.raw_person_ids.copy_(raw)

    def extra_repr(self) -> str:
        """Options shown by ``print``."""
        num_ids = self.num_ids or 'auto, unresolved'
        return (
            f'num_ids={num_ids}, embed_dims={self.embed_dims}, '
            f'queue_size={self.queue_size}, '
            f'background_size={self.background_size}, '
            f'unfilled={self.unfilled!r}'
        )
