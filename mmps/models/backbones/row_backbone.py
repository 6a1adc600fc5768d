"""Backbones that are one row of layers, each stage a part of it."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .pretrained import load_pretrained


class RowBackbone(BaseModule):
    """A row of layers in torchvision's order, hence with its keys.

    Subclasses give the row; stages, freezing and pretrained weights are
    here.

    Args:
        features (nn.Sequential): The row; the first layer is the stem.
        ends (Sequence[int]): Where each stage ends in it.
        channels (Sequence[int]): Of every stage's output.
        num_stages (int, optional): Stages that are kept, the first ones.
            None is all.
        out_indices (Sequence[int]): Stages whose outputs are given.
        frozen_stages (int): 0 freezes the stem, n also the first n stages,
            -1 nothing.
        norm_eval (bool): Whether batch norms keep their statistics.
        init_cfg (dict, optional): ``type='Pretrained'``, see
            :func:`load_pretrained`.

    Raises:
        ValueError: A stage that is wanted is not there.
    """

    def __init__(
        self,
        features: nn.Sequential,
        ends: Sequence[int],
        channels: Sequence[int],
        num_stages: int | None,
        out_indices: Sequence[int],
        frozen_stages: int,
        norm_eval: bool,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        last = stages_to_keep(self, num_stages, len(ends), out_indices)
        # Cut afterwards: stochastic depth grows over the whole network.
        self.features = features[: ends[last - 1]]
        self.ends = tuple(ends[:last])
        self.feat_dim = channels[last - 1]
        self.out_indices = tuple(out_indices)
        self.norm_eval = norm_eval
        self._num_frozen = 0
        if frozen_stages >= 0:
            self._num_frozen = (1, *ends)[frozen_stages]
        self.features[: self._num_frozen].requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the stages ``out_indices``, each (N, C, H, W).

        Args:
            x: Images, (N, 3, H, W).
        """
        outs = []
        for stage, (start, end) in enumerate(zip((0, *self.ends), self.ends)):
            x = self.features[start:end](x)
            if stage in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def stage_layers(self, stage: int) -> nn.Module:
        """The layers of a stage, from (N, C, H, W) to (N, C', H', W').

        Args:
            stage: Its index, 1 or more.
        """
        return self.features[self.ends[stage - 1] : self.ends[stage]]

    def train(self, mode: bool = True) -> 'RowBackbone':
        """Keep frozen stages, and batch norm if ``norm_eval``, as tested."""
        super().train(mode)
        self.features[: self._num_frozen].eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Read pretrained weights; without them the start is kept.

        Raises:
            UsageError: The checkpoint is another network's.
        """
        if self.init_cfg:
            load_pretrained(self, self.init_cfg, self.own_keys, ('norms.',))

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A file's weights with the keys of the whole network."""
        return state


def stages_to_keep(
    backbone: nn.Module,
    num_stages: int | None,
    there_are: int,
    out_indices: Sequence[int],
) -> int:
    """How many stages are kept.

    Args:
        backbone: For the message.
        num_stages: As given; None is all.
        there_are: Of the whole network.
        out_indices: Stages whose outputs are wanted.

    Raises:
        ValueError: A stage that is wanted is not there.
    """
    last = there_are if num_stages is None else num_stages
    if not -1 < max(out_indices) < last <= there_are:
        raise ValueError(
            f'{type(backbone).__name__} has {there_are} stages; got '
            f'num_stages={num_stages}, out_indices={tuple(out_indices)}'
        )
    return last
