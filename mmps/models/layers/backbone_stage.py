"""One stage of a backbone, run on regions of interest."""

from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmps.registry import MODELS


@MODELS.register_module()
class BackboneStage(BaseModule):
    """A stage of an mmdet ResNet (or kin) as the shared head of RoIs.

    Give it the config of the detector's backbone: it builds the same layers
    and starts from the same pretrained weights. mmdet's `ResLayer` knows
    ResNet only and starts at random unless told otherwise. Every stage of a
    sequential head is a copy of its own, from the same weights.

    Args:
        backbone (dict): Config of a backbone with ``num_stages``,
            ``strides`` and ``dilations`` (ResNet, ResNeXt, Res2Net, ...).
            ``frozen_stages`` and ``out_indices`` do not matter here.
        stage (int): Index of the stage; 3 is layer4. Defaults to 3.
        stride (int): Of the stage. Defaults to 2.
        dilation (int): Of the stage. Defaults to 1.

    Raises:
        TypeError: The backbone is not made of residual stages.
    """

    def __init__(
        self,
        backbone: dict,
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        whole = MODELS.build(
            dict(
                backbone,
                num_stages=stage + 1,
                strides=(1, 2, 2, 2)[:stage] + (stride,),
                dilations=(1,) * stage + (dilation,),
                out_indices=(stage,),
                frozen_stages=-1,
            )
        )
        if not hasattr(whole, 'res_layers'):
            raise TypeError(
                f'BackboneStage: {type(whole).__name__} has no residual '
                'stages; expected a backbone like ResNet or Res2Net'
            )
        name = whole.res_layers[stage]
        self.layers = getattr(whole, name)
        self.layers.init_cfg = _init_cfg_of(whole.init_cfg, name)
        self.out_channels = whole.feat_dim
        self.norm_eval = whole.norm_eval

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) RoI features to the stage's output."""
        return self.layers(x)

    def train(self, mode: bool = True) -> 'BackboneStage':
        """Keep batch norm frozen if the backbone's is (``norm_eval``)."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def _init_cfg_of(init_cfg: list | dict | None, name: str) -> list | dict:
    """The backbone's initialisation, for one of its stages."""
    if isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained':
        # The whole backbone's keys; only this stage's are loaded.
        parts = [init_cfg.get('prefix', '').rstrip('.'), name]
        return dict(init_cfg, prefix='.'.join(filter(None, parts)))
    return init_cfg
