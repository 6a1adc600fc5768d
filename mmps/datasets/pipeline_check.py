"""Refusing transforms that would separate boxes from person ids."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_WRAP = "wrap it: dict(type='mmps.KeepPersonIds', transform=dict(type=...))"
_MIX = (
    f'{_WRAP}, in the pipeline of mmdet.MultiImageMixDataset around this '
    'data set'
)
_LOAD = "use dict(type='mmps.LoadPersonAnnotations')"
_PACK = "use dict(type='mmps.PackPersonSearchInputs')"

# mmdet's transforms that filter or mix boxes and leave gt_instances_ids as
# it was, or that know no person ids at all, and what to use instead.
REFUSED = {
    'FilterAnnotations': "use dict(type='mmps.FilterPersonAnnotations')",
    'LoadAnnotations': _LOAD,
    'LoadPanopticAnnotations': _LOAD,
    'LoadTrackAnnotations': _LOAD,
    'LoadTextAnnotations': _LOAD,
    'LoadEmptyAnnotations': _LOAD,
    'PackDetInputs': _PACK,
    'PackTrackInputs': _PACK,
    'PackReIDInputs': _PACK,
    'RandomShift': _WRAP,
    'MinIoURandomCrop': _WRAP,
    'RandomCenterCropPad': _WRAP,
    'RandomAffine': _WRAP,
    'RandomErasing': _WRAP,
    'CachedMosaic': _WRAP,
    'CachedMixUp': _WRAP,
    'Albu': 'albumentations filters its boxes; use transforms of mmdet',
    'Mosaic': _MIX,
    'MixUp': _MIX,
    'CopyPaste': _MIX,
    'InstaBoost': 'it pastes people without their ids and has no replacement',
    'RandomSamplingNegPos': 'it drops people and has no replacement',
    'ProposalBroadcaster': 'person search has no stored proposals',
}
# What a KeepPersonIds may not hold either.
_NEVER = {
    name for name, why in REFUSED.items() if why not in (_WRAP, _MIX)
} - {'FilterAnnotations'}
# Where built transforms keep the transforms they run.
_NESTS = ('transforms', 'inner', 'policies', 'aug_space', 'branch_pipelines')


def check_pipeline(pipeline: Sequence[dict | Callable]) -> None:
    """Look for refused transforms, also nested ones.

    Args:
        pipeline: Transform configs or built transforms.

    Raises:
        ValueError: There are some; names each, with its replacement.
    """
    refused = []
    for name, scope, wrapped in _walk(pipeline, wrapped=False):
        if scope not in ('', 'mmdet', 'mmcv') or name not in REFUSED:
            continue
        if not wrapped or name in _NEVER:
            refused.append(f'{name}: {REFUSED[name]}')
    if refused:
        raise ValueError(
            'the pipeline has transforms that lose track of person ids; '
            + '; '.join(dict.fromkeys(refused))
        )


def bad_image_policy(pipeline: Sequence[dict | Callable]) -> str | None:
    """What the pipeline does with bad images.

    Args:
        pipeline: Transform configs or built transforms.

    Returns:
        'error' or 'skip'; None if it loads no images.
    """
    for item in pipeline:
        name, _ = _name(item)
        if name == 'LoadFrame':
            return _get(item, 'on_bad_image') or 'error'
        if name == 'LoadImageFromFile':
            return 'error'
    return None


def _walk(node: Any, wrapped: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, scope, inside KeepPersonIds?) of all transforms."""
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _walk(item, wrapped)
        return
    if node is None or isinstance(node, (str, int, float)):
        return
    name, scope = _name(node)
    if name:
        yield name, scope, wrapped
    inside = wrapped or name == 'KeepPersonIds'
    if name == 'Albu':  # its 'transforms' are albumentations'
        return
    if isinstance(node, Mapping):
        values = node.values()
    else:
        values = [getattr(node, key, None) for key in _NESTS]
    for value in values:
        yield from _walk(value, inside)


def _get(node: Any, key: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(key)
    return getattr(node, key, None)


def _name(node: Any) -> tuple[str, str]:
    """Class name and scope of a transform or its config."""
    kind = node.get('type') if isinstance(node, Mapping) else type(node)
    if isinstance(kind, str):
        scope, _, name = kind.rpartition('.')
        return name, scope
    if isinstance(kind, type):
        return kind.__name__, kind.__module__.partition('.')[0]
    return '', ''
