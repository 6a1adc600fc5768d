"""Models of mmps: memories, losses, layers and heads that mix with mmdet."""

from .backbones import *  # noqa: F401, F403
from .dense_heads import *  # noqa: F401, F403
from .detectors import *  # noqa: F401, F403
from .layers import *  # noqa: F401, F403
from .losses import *  # noqa: F401, F403
from .memories import *  # noqa: F401, F403
from .necks import *  # noqa: F401, F403
from .roi_heads import *  # noqa: F401, F403
from .task_modules import *  # noqa: F401, F403
