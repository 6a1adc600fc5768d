"""Parts that need a later torch than the package itself."""

import torch
from mmengine.utils import digit_version

from .errors import UsageError


def require_torch(lowest: str, what: str) -> None:
    """Make sure that torch has what a part of the package is made of.

    Args:
        lowest: The first version that has it.
        what: The part, for the message.

    Raises:
        UsageError: torch is older.
    """
    if digit_version(torch.__version__) < digit_version(lowest):
        raise UsageError(
            f'{what} needs torch {lowest} or later, found {torch.__version__}'
        )
