"""Forms of a data set on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .scenes_config import ScenesConfig
from .truth import SplitTruth

__all__ = ['Layout']


@dataclass(frozen=True)
class Layout:
    """One data set's form on disk.

    Attributes:
        image_folder: Folder of the pictures, relative to the root.
        image_name: From a frame's name and its number, counted from 0, to
            its file name.
        write_annotations: Writes everything beside the pictures. Takes the
            root, the settings, the training and the test split, and a dict
            from frame names to file names; returns numbers by name, such as
            ``queries``.
    """

    image_folder: str
    image_name: Callable[[str, int], str]
    write_annotations: Callable[
        [Path, ScenesConfig, SplitTruth, SplitTruth, dict[str, str]],
        dict[str, int],
    ]
