"""Parameters and operations of a detector at prediction."""

import torch
from mmdet.structures import DetDataSample
from mmengine.analysis import FlopAnalyzer, parameter_count
from torch import Tensor, nn


class PredictionPass(nn.Module):
    """A detector's whole way from pixels to boxes and embeddings.

    Args:
        model: The detector.
        data_samples: One per image, as its ``predict`` wants them.
    """

    def __init__(self, model: nn.Module, data_samples: list) -> None:
        super().__init__()
        self.model = model
        self.data_samples = data_samples

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Predict, and return what tracing can follow: plain tensors.

        Args:
            inputs: Images as the preprocessor returns them, (B, 3, H, W).
        """
        samples = self.model(inputs, self.data_samples, mode='predict')
        tensors: list[Tensor] = []
        for sample in samples:
            fields = sample.pred_instances.values()
            values = (getattr(f, 'tensor', f) for f in fields)
            tensors += [v for v in values if isinstance(v, Tensor)]
        return tuple(tensors)


def count(
    model: nn.Module, shape: tuple[int, int]
) -> tuple[list[tuple[str, int, int]], dict[str, int]]:
    """Count one image's prediction.

    Args:
        model: A detector.
        shape: Height and width of the image in pixels, before padding.

    Returns:
        tuple: A row (name, parameters, multiply-adds) per part and one for
        the whole, and how often each operation occurs that is not counted.
    """
    height, width = shape
    sample = DetDataSample(
        metainfo=dict(
            img_id=0,
            img_path='',
            ori_shape=shape,
            img_shape=shape,
            scale_factor=(1.0, 1.0),
        )
    )
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    data = model.data_preprocessor(
        dict(inputs=[image], data_samples=[sample]), False
    )
    whole = PredictionPass(model, data['data_samples'])
    analyzer = FlopAnalyzer(whole, data['inputs'])
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        flops = analyzer.by_module()
    parameters = parameter_count(whole)
    rows = [
        (name, parameters[f'model.{name}'], flops[f'model.{name}'])
        for name, child in model.named_children()
        if parameters[f'model.{name}']
    ]
    rows.append(('total', parameters[''], flops['']))
    return rows, dict(analyzer.unsupported_ops())
