"""Detectors as ONNX files with standard operators only."""

import contextlib
import copy
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from mmps.models.dense_heads import DensePredictionMixin, PSTRHead
from mmps.models.detectors import DenseTwoStageDetector
from mmps.models.roi_heads import SearchRoIHead
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole
from mmps.utils.torch_version import require_torch

from .graphs import (
    DenseTwoStageGraph,
    OneStageGraph,
    SearchGraph,
    TransformerGraph,
    TwoStageGraph,
)
from .layers import replace_layers
from .operators import translations

OUTPUTS = ('boxes', 'scores', 'embeddings')


def build_graph(model: nn.Module, size: tuple[int, int]) -> SearchGraph:
    """A detector as a function of pixels that can be exported.

    Args:
        model: The detector; it is copied.
        size: Height and width of the image, at least 32.

    Returns:
        On the CPU, in evaluation mode.

    Raises:
        UsageError: The detector has no head of ours, or a part that ONNX
            cannot express.
    """
    if min(size) < 32:
        raise UsageError(f'size: expected 32 or more, got {size}')
    head = getattr(model, 'roi_head', getattr(model, 'bbox_head', None))
    if not isinstance(head, (DensePredictionMixin, PSTRHead, SearchRoIHead)):
        raise UsageError(
            f'{type(model).__name__}: expected a single-stage detector with '
            'a PCNetHead or an AlignPSHead, a PSTR, or a two-stage detector '
            'with a SearchRoIHead'
        )
    finder = getattr(model, 'bbox_head', head)
    if finder.test_cfg.get('use_gt_boxes', False):
        raise UsageError(
            'test_cfg.use_gt_boxes: a graph sees no annotations; export the '
            'config without it'
        )
    model = copy.deepcopy(model).cpu().float().eval()
    replace_layers(model)
    if isinstance(model, DenseTwoStageDetector):
        kind = DenseTwoStageGraph
    elif isinstance(head, DensePredictionMixin):
        kind = OneStageGraph
    elif isinstance(head, PSTRHead):
        kind = TransformerGraph
    else:
        kind = TwoStageGraph
    return kind(model, tuple(size))


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike,
    size: tuple[int, int],
    query: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a detector as an ONNX file, operator set 20.

    The input ``image`` is (1, 3, H, W) float32, BGR in 0..255; everything
    after it is in the graph. The outputs are ``boxes`` (n, 4) xyxy in pixels
    of the image, ``scores`` (n,) and ``embeddings`` (n, D), best first. With
    ``query`` there is a second input, ``boxes`` (q, 4), and one output, their
    ``embeddings`` (q, D).

    Args:
        model: The detector, trained.
        path: ``.onnx`` file; it is replaced as a whole.
        size: Height and width of the image.
        query: Embed given boxes in the place of finding them. Defaults to
            False.
        metadata: Texts to store in the file. Defaults to None.

    Raises:
        UsageError: torch is older than 2.11, the extra ``mmps[onnx]`` is
            missing, or the detector cannot be exported; see
            :func:`build_graph`.
    """
    require_torch('2.11', 'ONNX export')
    require_extra('onnx', 'onnxscript')
    module = build_graph(model, size)
    inputs = dict(image=torch.zeros(1, 3, *size))
    shapes = dict(image=None)
    if query:
        # The number of boxes stays open, so it must be no special one.
        top = torch.tensor([0.0, 0.0, size[1], size[0]])
        inputs['boxes'] = top * torch.tensor([[1.0], [0.75], [0.5]])
        shapes['boxes'] = {0: torch.export.Dim('q', min=1)}
    with torch.no_grad(), _quiet():
        program = torch.export.export(
            module, (), inputs, dynamic_shapes=shapes
        )
        result = torch.onnx.export(
            program,
            input_names=list(inputs),
            output_names=list(OUTPUTS[-1:] if query else OUTPUTS),
            opset_version=20,
            custom_translation_table=translations(),
            dynamo=True,
            verbose=False,
        )
    graph = result.model.graph
    first = graph.inputs[1] if query else graph.outputs[0]
    result.rename_axes({first.shape[0]: 'q' if query else 'n'})
    for part in (graph, *graph):
        # Traces of the code, with the paths of this machine.
        part.metadata_props.clear()
    result.model.metadata_props.update(metadata or {})
    data = result.model_proto.SerializeToString()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


def require_extra(*names: str) -> None:
    """Import packages of the extra ``mmps[onnx]``.

    Raises:
        UsageError: One is missing; says how to get it.
    """
    for name in names:
        try:
            __import__(name)
        except ModuleNotFoundError as err:
            raise UsageError(
                f'ONNX needs {err.name}: pip install "mmps[onnx]"'
            ) from err


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from remarks on packages that are not needed."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
