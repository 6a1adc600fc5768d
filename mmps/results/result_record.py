"""Content of a result file, put together from a test run."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmps.results.config_record import config_record, inference_record
from mmps.results.versions import stack_versions
from mmps.structures import SearchGroundTruth, fingerprint
from mmps.utils.config import finder_test_cfg


def result_record(
    cfg: Config,
    dataset: Any,
    figures: Mapping[str, float],
    protocol: dict[str, Any] | None,
    **known: Any,
) -> dict[str, Any]:
    """Put together a result file's content.

    Args:
        cfg: The resolved config of the run.
        dataset: The test set; one of mmps gives a fingerprint.
        figures: By name.
        protocol: Of ``describe_protocol``; None for another metric.
        **known: Of ``weights``, ``predictions``, ``seed`` and ``device``
            what the run knows.

    Returns:
        To be written by ``mmps.results.result_file.write_results``.
    """
    config = config_record(cfg)
    inference = inference_record(config['content'])
    if protocol is not None:
        finder = finder_test_cfg(inference['test_cfg'] or {})
        boxes = 'annotated' if finder.get('use_gt_boxes') else 'detected'
        protocol = {**protocol, 'gallery_boxes': boxes}
    return dict(
        figures=dict(figures),
        protocol=protocol,
        inference=inference,
        config=config,
        data=_data_record(dataset),
        versions=stack_versions(),
        **known,
    )


def _data_record(dataset: Any) -> dict[str, Any] | None:
    metainfo = getattr(dataset, 'metainfo', None) or {}
    truth = metainfo.get('search')
    if not isinstance(truth, SearchGroundTruth):
        return None
    return dict(
        name=metainfo.get('dataset_type'),
        split=getattr(dataset, 'split', None),
        **fingerprint(truth),
    )
