"""One stage of a backbone, run on regions of interest."""

from inspect import isclass

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmps.registry import MODELS


@MODELS.register_module()
class BackboneStage(BaseModule):
    """A stage of a backbone as the shared head of RoIs.

    Give it the config of the detector's backbone: it builds the same layers
    and starts from the same pretrained weights. mmdet's `ResLayer` knows
    ResNet only and starts at random unless told otherwise. Every stage of a
    sequential head is a copy of its own, from the same weights.

    Args:
        backbone (dict): Config of an mmdet ResNet or kin (``num_stages``,
            ``strides``, ``dilations``), or of a backbone with
            ``stage_layers`` (:class:`ConvNeXt`, :class:`SemanticSwin`,
            :class:`PVTv2`, :class:`MobileNetV3Large`). ``frozen_stages`` and
            ``out_indices`` do not matter here.
        stage (int): Index of the stage; 3 is layer4. Defaults to 3.
        stride (int): Of the stage; of ResNet and kin only. Defaults to 2.
        dilation (int): Likewise. Defaults to 1.

    Raises:
        TypeError: The backbone is neither.
        ValueError: The stage has a stride of its own.
    """

    def __init__(
        self,
        backbone: dict,
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self._stage = stage
        self._whole = dict(
            backbone,
            num_stages=stage + 1,
            out_indices=(stage,),
            frozen_stages=-1,
        )
        self._gives_stages = hasattr(_class_of(backbone), 'stage_layers')
        if not self._gives_stages:
            self._whole.update(
                strides=(1, 2, 2, 2)[:stage] + (stride,),
                dilations=(1,) * stage + (dilation,),
            )
        elif (stride, dilation) != (2, 1):
            raise ValueError(
                f'BackboneStage: a stage of {backbone["type"]} has stride 2, '
                f'got stride={stride}, dilation={dilation}; a ResNet can '
                'have others'
            )
        whole = MODELS.build(self._whole)
        if self._gives_stages:
            self.layers = whole.stage_layers(stage)
        elif hasattr(whole, 'res_layers'):
            name = whole.res_layers[stage]
            self.layers = getattr(whole, name)
            self.layers.init_cfg = _init_cfg_of(whole.init_cfg, name)
        else:
            raise TypeError(
                f'BackboneStage: {type(whole).__name__} has no residual '
                'stages; expected a backbone like ResNet or Res2Net, or one '
                'with stage_layers'
            )
        self.out_channels = whole.feat_dim
        self.norm_eval = whole.norm_eval
        self._has_norm = any(map(_is_batch_norm, self.modules()))

    def init_weights(self) -> None:
        """Start as the backbone does."""
        if not self._gives_stages:
            super().init_weights()
            return
        # How the file's keys are read only the whole backbone knows.
        whole = MODELS.build(self._whole)
        whole.init_weights()
        layers = whole.stage_layers(self._stage)
        self.layers.load_state_dict(layers.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) RoI features to the stage's output."""
        # Not len(): export would fix the number of RoIs.
        if self._has_norm or x.size(0) > 0:
            return self.layers(x)
        # Tokens of no RoI have no shape; batch norm would see the padding.
        return self.layers(x.new_zeros(1, *x.shape[1:]))[:0]

    def train(self, mode: bool = True) -> 'BackboneStage':
        """Keep batch norm frozen if the backbone's is (``norm_eval``)."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in filter(_is_batch_norm, self.modules()):
                module.eval()
        return self


def _class_of(backbone: dict) -> type:
    kind = backbone['type']
    if isclass(kind):
        return kind
    with MODELS.switch_scope_and_registry(None) as registry:
        return registry.get(kind)


def _is_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm)


def _init_cfg_of(init_cfg: list | dict | None, name: str) -> list | dict:
    """The backbone's initialisation, for one of its stages."""
    if isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained':
        # The whole backbone's keys; only this stage's are loaded.
        parts = [init_cfg.get('prefix', '').rstrip('.'), name]
        return dict(init_cfg, prefix='.'.join(filter(None, parts)))
    return init_cfg
