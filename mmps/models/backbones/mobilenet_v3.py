"""MobileNetV3, which mmdet lacks."""

from collections.abc import Sequence

from mmdet.models.utils import make_divisible
from torch import Tensor, nn

from mmps.registry import MODELS

from .row_backbone import RowBackbone

# Kernel, width inside, channels behind, squeeze and excitation, hard swish,
# stride (Table 1 of the paper).
LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
STEM, LAST = 16, 960


@MODELS.register_module()
class MobileNetV3Large(RowBackbone):
    """MobileNetV3-Large; four stages of strides 4, 8, 16 and 32.

    They are 24, 40, 112 and 960 channels wide; the last one has the
    convolution before the pooling of the classifier.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019. The keys
    are those of torchvision.

    Args:
        num_stages (int, optional): Stages that are kept, the first ones.
            Defaults to None, which is all.
        out_indices (Sequence[int]): Stages whose outputs are given.
            Defaults to (0, 1, 2, 3).
        frozen_stages (int): 0 freezes the stem, n also the first n stages,
            -1 nothing. Defaults to -1.
        norm_eval (bool): Whether batch norms keep their statistics.
            Defaults to False.
        init_cfg (dict, optional): ``type='Pretrained'`` reads torchvision's
            checkpoints. Defaults to None.

    Raises:
        ValueError: A stage that is wanted is not there.
    """

    def __init__(
        self,
        num_stages: int | None = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        row = [_conv(3, STEM, 3, 2, nn.Hardswish)]
        channels = STEM
        for kernel, inner, out, excite, swish, stride in LARGE:
            activation = nn.Hardswish if swish else nn.ReLU
            row.append(
                InvertedResidualV3(
                    channels, inner, out, kernel, stride, excite, activation
                )
            )
            channels = out
        row.append(_conv(channels, LAST, 1, 1, nn.Hardswish))
        for layer in nn.ModuleList(row).modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode='fan_out')
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        super().__init__(
            nn.Sequential(*row),
            (4, 7, 13, 17),
            (24, 40, 112, LAST),
            num_stages,
            out_indices,
            frozen_stages,
            norm_eval,
            init_cfg,
        )


class InvertedResidualV3(nn.Module):
    """Widen, convolve per channel, weigh the channels, narrow.

    Args:
        channels (int): Before it.
        inner (int): Inside.
        out (int): Behind it.
        kernel (int): Of the convolution per channel.
        stride (int): Likewise.
        excite (bool): Whether the channels are weighed.
        activation (type): Of the layers inside.
    """

    def __init__(
        self,
        channels: int,
        inner: int,
        out: int,
        kernel: int,
        stride: int,
        excite: bool,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.is_residual = stride == 1 and channels == out
        layers = []
        if inner != channels:
            layers.append(_conv(channels, inner, 1, 1, activation))
        layers.append(_conv(inner, inner, kernel, stride, activation, inner))
        if excite:
            layers.append(SqueezeExcitation(inner))
        layers.append(_conv(inner, out, 1, 1))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        out = self.block(x)
        return x + out if self.is_residual else out


class SqueezeExcitation(nn.Module):
    """Weights of channels from their means.

    Args:
        channels (int): A quarter of them, rounded to eights, is in between.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = make_divisible(channels // 4, 8)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        means = x.mean((2, 3), keepdim=True)
        weights = self.fc2(self.fc1(means).relu())
        return x * nn.functional.hardsigmoid(weights)


def _conv(
    channels: int,
    out: int,
    kernel: int,
    stride: int,
    activation: type[nn.Module] | None = None,
    groups: int = 1,
) -> nn.Sequential:
    layers = [
        nn.Conv2d(
            channels,
            out,
            kernel,
            stride,
            kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else ()))
