"""Count the parameters and operations of a detector at prediction."""

import argparse

import torch
from mmdet.structures import DetDataSample
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mmps.cli.common import add_config_args, run_cli
from mmps.utils.config import load_config
from mmps.utils.part_imports import import_parts


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


def build_model(cfg: Config) -> nn.Module:
    """Build the detector of a config for prediction, untrained.

    It stays on the CPU: the counts are the same, and there the deformable
    convolution is made of operations that the analyzer knows.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return revert_sync_batchnorm(MODELS.build(cfg.model)).eval()


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


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_args(parser)
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        default=(800, 1333),
        metavar=('H', 'W'),
        help='size of the network input in pixels (default: 800 1333)',
    )
    args = parser.parse_args()
    if min(args.shape) < 1:
        parser.error('--shape: height and width must be positive')
    import_parts()
    cfg = load_config(args.config, args.cfg_options)
    rows, skipped = count(build_model(cfg), tuple(args.shape))
    table = Table('part', title=f'{args.shape[0]} x {args.shape[1]} pixels')
    table.add_column('parameters (M)', justify='right')
    table.add_column('FLOPs (G)', justify='right')
    for name, parameters, flops in rows:
        if name == 'total':
            table.add_section()
        table.add_row(name, f'{parameters / 1e6:.2f}', f'{flops / 1e9:.2f}')
    console = Console()
    console.print(table)
    console.print('One multiply-add is one FLOP, as in papers on detectors.')
    if custom := {k: n for k, n in skipped.items() if 'PythonOp' in k}:
        console.print(f'Not counted: {custom}')


if __name__ == '__main__':
    run_cli(main)
