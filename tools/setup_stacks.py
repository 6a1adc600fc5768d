"""The sets of versions that setup_env.py can install."""

from typing import NamedTuple, Tuple

GIB = 2**30


class Stack(NamedTuple):
    """A set of versions that is installed together."""

    pins: str  # name of the requirement file with all versions
    frameworks: str  # of the one with the frameworks alone
    others: Tuple[str, ...]  # of those that no other set has
    mmcv: str  # the distribution whose operators are built
    # How pins start that hold on any Python; the others may not exist there.
    always: Tuple[str, ...]
    tested: Tuple[int, int]  # the Python that it was tested with
    newest: Tuple[int, int]  # the last one that it exists for
    disk: int  # bytes of an environment with downloads and the build


STACKS = {
    'onedl': Stack(
        'pinned', 'mminstall', ('docs',), 'onedl-mmcv',
        ('torch==', 'onedl-', 'opencv-'),
        (3, 11), (3, 99), 4 * GIB,  # 2.1 GiB of it with torch for CPUs
    ),
    'openmmlab': Stack(
        'openmmlab', 'mminstall-openmmlab', (), 'mmcv',
        ('torch==', 'mm', 'opencv-', 'numpy=='),
        (3, 10), (3, 11), 10 * GIB,  # 6 GiB of it, with the parts of CUDA
    ),
}  # fmt: skip
