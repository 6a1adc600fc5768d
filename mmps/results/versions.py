"""Versions of the packages that figures depend on."""

import hashlib
import platform
from importlib import import_module, metadata
from pathlib import Path

import torch

from mmps.version import __version__

_PACKAGES = ('numpy', 'scipy', 'sklearn', 'cv2', 'mmengine', 'mmcv', 'mmdet')


def stack_versions() -> dict[str, str]:
    """Versions of mmps and of what its figures can depend on.

    Returns:
        Version by import name. ``mmps_source`` is the hash of mmps' own
        Python files, since a version lives through many changes; the
        distribution follows where it has another name than the import
        (``0.10.12 (onedl-mmengine)``).
    """
    versions = {
        'mmps': __version__,
        'mmps_source': source_hash(Path(__file__).parents[1]),
        'python': platform.python_version(),
        'torch': str(torch.__version__),
    }
    distributions = metadata.packages_distributions()
    for name in _PACKAGES:
        version = str(import_module(name).__version__)
        for distribution in distributions.get(name, ()):
            if distribution != name:
                version += f' ({distribution})'
        versions[name] = version
    if torch.cuda.is_available():
        versions['cuda'] = str(torch.version.cuda)
        versions['cudnn'] = str(torch.backends.cudnn.version())
    return versions


def device_name(device: torch.device) -> str:
    """Name a device, with what decides the last digits of its results."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    if device.type == 'cpu':
        return f'CPU ({torch.backends.cpu.get_cpu_capability()})'
    return device.type


def source_hash(folder: Path) -> str:
    """SHA-256 of the Python files below a folder and of their names."""
    digest = hashlib.sha256()
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob('*.py')}
    for name in sorted(files):
        if not name.startswith('.'):
            digest.update(f'{name}\n'.encode())
            digest.update(hashlib.sha256(files[name].read_bytes()).digest())
    return digest.hexdigest()
