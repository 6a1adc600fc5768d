"""Random person-search samples."""

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor


def demo_search_samples(
    people: Sequence[int] = (3, 2),
    size: tuple[int, int] = (128, 160),
    num_ids: int = 6,
    queries: Sequence[int] = (),
    scale: float = 1.0,
    seed: int = 0,
) -> tuple[Tensor, list[DetDataSample]]:
    """Noise images with upright boxes, person ids and query boxes.

    mmdet's ``demo_mm_inputs`` knows neither person ids nor one-class data.

    >>> from mmps.testing import demo_search_samples
    >>> inputs, samples = demo_search_samples(people=(3, 2), queries=(1, 0))
    >>> inputs.shape
    torch.Size([2, 3, 128, 160])
    >>> samples[0].gt_instances.person_ids.shape
    torch.Size([3])
    >>> samples[0].query_instances.query_indices
    tensor([0])

    Args:
        people (Sequence[int]): Boxes per image. Defaults to (3, 2).
        size (tuple[int, int]): Height and width of the network's input.
        num_ids (int): Person ids are drawn from -1..num_ids - 1.
        queries (Sequence[int]): Query boxes per image, the first people of
            it; empty: the samples have no query_instances.
        scale (float): Input size / original size; queries are in original
            pixels. Defaults to 1.0.
        seed (int): Defaults to 0.

    Returns:
        tuple[Tensor, list[DetDataSample]]: Inputs (N, 3, H, W), samples.
    """
    rng = torch.Generator().manual_seed(seed)
    height, width = size
    samples = []
    first_query = 0
    for i, count in enumerate(people):
        h = height * (0.3 + 0.5 * torch.rand(count, generator=rng))
        w = h / 2.6
        x1 = (width - w) * torch.rand(count, generator=rng)
        y1 = (height - h) * torch.rand(count, generator=rng)
        boxes = torch.stack((x1, y1, x1 + w, y1 + h), 1)
        original = (round(height / scale), round(width / scale))
        sample = DetDataSample(
            metainfo=dict(
                img_id=i,
                frame_name=f'c1s1_{i:06d}.jpg',
                ori_shape=original,
                img_shape=size,
                pad_shape=size,
                batch_input_shape=size,
                scale_factor=(scale, scale),
                flip=False,
                flip_direction=None,
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.zeros(count, dtype=torch.long),
            person_ids=torch.randint(-1, num_ids, (count,), generator=rng),
        )
        if len(queries):
            sample.query_instances = InstanceData(
                bboxes=boxes[: queries[i]] / scale,
                query_indices=torch.arange(queries[i]) + first_query,
            )
            first_query += queries[i]
        samples.append(sample)
    inputs = torch.randn(len(people), 3, height, width, generator=rng)
    return inputs, samples
