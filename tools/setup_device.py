"""GPU choice of the set-up.

Like setup_env.py, it has to parse on Pythons too old for mmps.
"""

import re
import subprocess
from pathlib import Path
from typing import Optional, Tuple

# Prints torch's version, its CUDA, whether a GPU is usable, and CUDA_HOME.
LOOK_AT_TORCH = """
import json, torch
from torch.utils.cpp_extension import CUDA_HOME
usable = torch.cuda.is_available()
print(json.dumps([torch.__version__, torch.version.cuda, usable, CUDA_HOME]))
"""


def has_gpu() -> bool:
    """Tell whether there is an NVIDIA GPU, by its device files."""
    files = [*Path('/dev').glob('nvidia[0-9]*'), *Path('/dev').glob('dxg')]
    return bool(files)


def nvcc_version(home: Optional[str]) -> Optional[str]:
    """Return the version of CUDA's compiler below a folder, as '13.0'."""
    nvcc = Path(home or '', 'bin', 'nvcc')
    if home is None or not nvcc.is_file():
        return None
    done = subprocess.run(
        [str(nvcc), '--version'],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        universal_newlines=True,
    )
    found = re.search(r'release (\d+\.\d+)', done.stdout)
    return found.group(1) if found else None


def choose_device(
    gpu: bool,
    torch: str,
    cuda: Optional[str],
    usable: bool,
    nvcc: Optional[str],
    force: Optional[str] = None,
) -> Tuple[bool, str]:
    """Decide whether mmcv's operators are built for CUDA.

    Args:
        gpu: Whether there is an NVIDIA GPU.
        torch: Version of torch.
        cuda: Version of CUDA that torch was built for; None for CPUs.
        usable: Whether torch can use the GPU.
        nvcc: Version of CUDA's compiler; None without one.
        force: FORCE_CUDA of the environment, '0' or '1', or None.

    Returns:
        The decision, and a line that says what is used and what is missing.
    """
    beside = 'the CPU is used, although there is an NVIDIA GPU: '
    toolkit = (
        f'install the CUDA toolkit {cuda} (nvcc; CUDA_HOME if it is not in '
        'its usual place) and run make setup again'
    )
    if force == '1':
        return True, "mmcv's operators are built for CUDA (FORCE_CUDA=1)"
    if not gpu:
        return False, 'the CPU is used: there is no NVIDIA GPU'
    if force == '0':
        return False, beside + 'FORCE_CUDA=0'
    if cuda is None:
        return False, f'{beside}torch {torch} is built for CPUs only'
    if not usable:
        return False, (
            f'{beside}torch {torch} for CUDA {cuda} cannot use it; its driver '
            'may be too old (nvidia-smi)'
        )
    if nvcc is None:
        return False, f"{beside}mmcv's operators are built for CPUs; {toolkit}"
    if nvcc.split('.')[0] != cuda.split('.')[0]:
        return False, (
            f"{beside}mmcv's operators are built for CPUs, since nvcc is that "
            f'of CUDA {nvcc}; {toolkit}'
        )
    return True, (
        f"the GPU is used: torch {torch} and mmcv's operators for CUDA {cuda}"
    )
