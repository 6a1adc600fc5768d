"""mmps: person search on MMDetection 3.x."""

from importlib import import_module, metadata

from mmengine.config import utils as _config_utils
from mmengine.utils import digit_version

from mmps.version import __version__

#: First supported and first unsupported version, by import name. Checked by
#: import, not by distribution name: the maintained forks (``onedl-*``) and the
#: OpenMMLab originals share these import names.
VERSION_BOUNDS = {
    'mmengine': ('0.10.4', '1.0.0'),
    'mmcv': ('2.1.0', '3.0.0'),
    'mmdet': ('3.3.0', '4.0.0'),
}
_INSTALL = 'pip install --no-build-isolation -r requirements/mminstall.txt'
# mmdet 3.3 takes no later mmcv.
_INSTALL_ORIGINALS = (
    'mim install "mmengine>=0.10.4,<1" "mmcv>=2.1,<2.2" "mmdet>=3.3,<4"'
)


def _how_to_install() -> str:
    """Command for the set that is installed: the two overwrite each other."""
    for name in VERSION_BOUNDS:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        return _INSTALL_ORIGINALS
    return _INSTALL


def _check_version(name: str, low: str, high: str) -> None:
    try:
        version = import_module(name).__version__
    except ImportError as error:
        raise ImportError(
            f'mmps needs {name} >={low},<{high}, and importing it failed '
            f'({error}). Install it with: {_how_to_install()}'
        ) from error
    if not digit_version(low) <= digit_version(version) < digit_version(high):
        raise ImportError(
            f'mmps needs {name} >={low},<{high}, found {version}. '
            f'Install it with: {_how_to_install()}'
        )


for _name, (_low, _high) in VERSION_BOUNDS.items():
    _check_version(_name, _low, _high)

# mmengine resolves `mmps::...` config names only for packages listed here. By
# a module it finds them beside its file; by a distribution OpenMMLab's
# mmengine looks for editable installs in the wrong place.
_config_utils.MODULE2PACKAGE.setdefault('mmps', 'mmps.version')

__all__ = ['VERSION_BOUNDS', '__version__']
