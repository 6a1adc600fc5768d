"""Models of mmps: memories, losses, layers and heads that mix with mmdet."""

from .dense_heads import *  # noqa: F401, F403
from .layers import *  # noqa: F401, F403
from .losses import *  # noqa: F401, F403
from .memories import *  # noqa: F401, F403
