"""Person-search data sets, their samplers and transforms."""

from mmps.utils.part_imports import quiet_imports

with quiet_imports():  # it remarks on data sets that are not installed
    import mmdet.datasets  # noqa: F401

# isort: split
from .coco_person_search import CocoPersonSearchDataset
from .cuhk_sysu import CUHKSYSUDataset
from .errors import BadImageError, DatasetError, FaultList
from .frame_table import FrameTable
from .lsps import LSPSDataset
from .person_search_dataset import PersonSearchDataset
from .prw import PRWDataset
from .samplers import AspectRatioBatchSampler, SeededInfiniteSampler
from .transforms import *  # noqa: F403

__all__ = [
    'AspectRatioBatchSampler',
    'BadImageError',
    'CUHKSYSUDataset',
    'CocoPersonSearchDataset',
    'DatasetError',
    'FaultList',
    'FrameTable',
    'LSPSDataset',
    'PRWDataset',
    'PersonSearchDataset',
    'SeededInfiniteSampler',
]
