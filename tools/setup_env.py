#!/usr/bin/env python3
"""Make the virtual environment that mmps is developed and tested in.

Standard library only, and safe to run again at any time: each step looks
whether its result is there, so a second run finishes what an interrupted
first one left. Nothing is fetched but by pip, with pip's own configuration.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from setup_device import (
    LOOK_AT_TORCH,
    choose_device,
    has_gpu,
    nvcc_version,
)
from setup_stacks import GIB, STACKS, Stack

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 10)
HEADLESS = 'opencv-python-headless'
EXTRAS = ('optional', 'milvus', 'onnx', 'ray', 'video', 'web')
# Torch for CUDA brings NVIDIA's libraries.
DISK_CUDA, DISK_BUILD = 14 * GIB, 2 * GIB
# The operators have to load with this torch, and to be there for CUDA where
# they are wanted: pip's cache of built wheels knows neither. They are loaded
# without `import mmcv`, which needs OpenCV too.
CHECK_MMCV = """
import importlib.machinery, importlib.util, os, torch
folder = os.path.dirname(importlib.util.find_spec('mmcv').origin)
finder = importlib.machinery.PathFinder.find_spec('_ext', [folder])
assert finder, f'no mmcv._ext in {folder}'
spec = importlib.util.spec_from_file_location('mmcv._ext', finder.origin)
ext = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ext)
built_for = ext.get_compiling_cuda_version()
assert not CUDA or built_for != 'not available', 'built without CUDA'
"""
CHECK_ALL = 'import cv2, mmcv._ext, mmdet, mmps'


class SetupError(Exception):
    """What is missing or went wrong, on one line."""


def say(text: str) -> None:
    """Tell the user what happens."""
    print(f'setup: {text}', flush=True)


def check_python(
    version: Tuple[int, ...], newest: Tuple[int, int] = (3, 99)
) -> None:
    """Raise SetupError if a Python is too old, or too new for a stack."""
    if version[:2] > newest:
        raise SetupError(
            'Python %d.%d is too new for this set of versions, %d.%d is the '
            'last (make PYTHON=/path/to/python3)' % (*version[:2], *newest)
        )
    if version[:2] < OLDEST:
        raise SetupError(
            'Python %d.%d is too old, %d.%d or later is needed '
            '(make PYTHON=/path/to/python3)' % (*version[:2], *OLDEST)
        )


def check_venv_module() -> None:
    """Raise SetupError if this Python cannot make environments."""
    command = [sys.executable, '-c', 'import ensurepip, venv']
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        raise SetupError(
            'this Python has no venv module; on Debian or Ubuntu: '
            'apt-get install python3-venv'
        )


def check_disk(folder: Path, needed: int) -> None:
    """Raise SetupError if the disk below a folder is too full."""
    free = shutil.disk_usage(str(folder)).free
    if free < needed:
        raise SetupError(
            f'not enough disk: {folder} has {free / GIB:.1f} GiB free, '
            f'{needed / GIB:.0f} GiB are needed'
        )


def jobs() -> int:
    """Return how many compilers to run: one a core, 1.5 GiB for each."""
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(memory / (1.5 * GIB))))


class Environment:
    """A virtual environment and the steps that complete it.

    Args:
        venv: Its folder.
        root: The checkout. Defaults to the one this file is in.
        lock: An open file; programs that are started inherit it, so that
            a lock on it outlives this process as long as they run.
        stack: Which set of versions. Defaults to that of the forks.
    """

    def __init__(
        self,
        venv: Path,
        root: Path = ROOT,
        lock: Optional[int] = None,
        stack: Stack = STACKS['onedl'],
    ) -> None:
        self.stack = stack
        self.root = root
        self.venv = venv
        self.inherited = () if lock is None else (lock,)
        self.python = venv / 'bin' / 'python'
        self.state = venv / '.mmps-setup'
        self.pins = root / 'requirements' / f'{stack.pins}.txt'
        self.gpu = has_gpu()
        self.cuda = False
        self.device_file = self.state / 'device.txt'

    def complete(self) -> None:
        """Bring the environment from whatever state to complete.

        Raises:
            SetupError: Something is missing on this machine, or pip failed.
        """
        self.make_venv()
        self.state.mkdir(exist_ok=True)
        stamp = self.state / 'stamp'
        stamp.unlink(missing_ok=True)  # valid again once all steps are done
        temporary = self.state / 'tmp'
        shutil.rmtree(str(temporary), ignore_errors=True)
        temporary.mkdir()
        report = self.probe('--repair')
        for name in report['removed']:
            say(f'{name} was half installed, it is installed again')
        version = tuple(report['python'][:2])
        check_python(version, self.stack.newest)
        if version != self.stack.tested:
            pair = version + self.stack.tested
            say('Python %d.%d is untested, %d.%d is tested' % pair)
            self.pins = self.framework_pins()

        self.require('build', 'build')
        self.require('torch', self.pinned('torch'))
        self.cuda, line = self.add_cuda()
        self.device_file.write_text(line)
        self.require('OpenCV', self.pinned(HEADLESS))
        self.add_mmcv()
        files = ('build', self.stack.frameworks, 'runtime', *EXTRAS, 'tests')
        files += self.stack.others
        self.require('the rest', *files)
        self.keep_one_opencv()
        say('installing mmps (editable)')
        self.pip(
            'mmps',
            'install',
            '--no-build-isolation',
            '--no-deps',
            '-e',
            str(self.root),
        )
        error = self.error_of(CHECK_ALL)
        if error:
            raise SetupError(f'{self.venv} does not work: {error}')
        stamp.write_text(self.fingerprint())
        say(f'{self.venv} is complete: source {self.venv}/bin/activate')

    # -- what there is -----------------------------------------------------
    def is_complete(self) -> bool:
        """Tell whether a set-up ended well here and still holds."""
        try:
            stamp = (self.state / 'stamp').read_text()
            links = self.root / 'mmps' / '.mim' / 'configs'
            return links.is_dir() and stamp == self.fingerprint()
        except OSError:
            return False

    def fingerprint(self) -> str:
        """Hash what a complete environment depends on, starting nothing."""
        digest = hashlib.sha256(f'{self.pins} {self.venv}'.encode())
        inputs = sorted(self.root.glob('requirements/*.txt'))
        inputs += [self.root / n for n in ('setup.py', 'pyproject.toml')]
        inputs += [*(Path(__file__).parent.glob('setup_*.py'))]
        inputs += [self.venv / 'pyvenv.cfg', self.device_file]
        for path in inputs:
            digest.update(path.read_bytes())
        # A GPU, or a compiler for it, that came later is taken.
        nvcc = shutil.which('nvcc'), Path('/usr/local/cuda').exists()
        force = os.environ.get('FORCE_CUDA')
        digest.update(f'{self.gpu} {nvcc} {force}'.encode())
        # Names hold the versions; pyvenv.cfg that of Python.
        infos = self.venv.glob('lib/python*/site-packages/*.dist-info')
        digest.update('\n'.join(sorted(p.name for p in infos)).encode())
        return digest.hexdigest()

    def probe(self, *args: str) -> Dict[str, Any]:
        """Run setup_probe.py in the environment and return its report."""
        script = self.root / 'tools' / 'setup_probe.py'
        done = self.capture(str(script), *args)
        if done.returncode:
            raise SetupError(f'cannot read {self.venv}: {last(done.stderr)}')
        return json.loads(done.stdout)

    def missing(self, *names: str) -> List[str]:
        """Return what of some requirement files, or specs, is missing."""
        files = [str(self.requirement_file(name)) for name in names]
        report = self.probe(
            '--requirements', *files, '--constraints', str(self.pins)
        )
        return report['missing']

    def requirement_file(self, name: str) -> Path:
        """Return requirements/NAME.txt, or a file with the spec ``name``."""
        if '==' not in name:
            return self.root / 'requirements' / f'{name}.txt'
        path = self.state / 'spec.txt'
        path.write_text(f'{name}\n')
        return path

    def error_of(self, code: str) -> Optional[str]:
        """Run code in the environment; return its last line of error."""
        done = self.capture('-W', 'ignore', '-c', code)
        return last(done.stderr) if done.returncode else None

    def capture(self, *args: str) -> subprocess.CompletedProcess:
        """Run the environment's Python, away from this folder's modules."""
        return subprocess.run(
            [str(self.python), '-I', *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            universal_newlines=True,
            cwd=str(self.venv),
        )

    def pinned(self, name: str) -> str:
        """Return the line ``name==version`` of the pins."""
        for line in self.pins.read_text().splitlines():
            if line.startswith(f'{name}=='):
                return line
        raise SetupError(f'{self.pins} does not pin {name}')

    def framework_pins(self) -> Path:
        """Write the pins that hold for every Python."""
        lines = self.pins.read_text().splitlines()
        path = self.state / 'pinned.txt'
        kept = [line for line in lines if line.startswith(self.stack.always)]
        path.write_text('\n'.join(kept) + '\n')
        return path

    # -- the steps ---------------------------------------------------------
    def make_venv(self) -> None:
        """Create the environment; again where its Python or pip is broken."""
        if self.python.exists() and not self.error_of('import pip'):
            return
        if self.venv.exists() and not (self.venv / 'pyvenv.cfg').exists():
            # What an interrupted venv leaves may go, other things may not.
            parts = {'bin', 'include', 'lib', 'lib64', self.state.name}
            if {p.name for p in self.venv.iterdir()} - parts:
                raise SetupError(f'{self.venv} is no virtual environment')
        check_venv_module()
        needed = DISK_CUDA if self.gpu else self.stack.disk
        check_disk(self.venv.parent, needed)
        say(f'creating {self.venv}')
        self.run([sys.executable, '-m', 'venv', '--clear', str(self.venv)])

    def require(self, name: str, *wanted: str) -> None:
        """Install requirement files, or specs, unless all is there."""
        missing = self.missing(*wanted)
        if not missing:
            return
        shown = ', '.join(missing[:4]) + (', ...' if missing[4:] else '')
        say(f'installing {name}: {shown}')
        files = [str(self.requirement_file(x)) for x in wanted]
        self.install(name, *(x for file in files for x in ('-r', file)))

    def add_cuda(self) -> Tuple[bool, str]:
        """Get torch for CUDA where there is a GPU; decide on operators.

        Returns:
            See :func:`choose_device`.
        """
        version, cuda, usable, home = self.look_at_torch()
        if self.gpu and cuda is None:
            # Builds for CPUs have a version of their own (2.13.0+cpu), which
            # counts as newer; the plain one is the registry's default.
            spec = self.pinned('torch').replace('==', '===')
            say(f'torch {version} is built for CPUs only, trying {spec}')
            try:
                self.install('torch', spec)
            except SetupError as error:
                say(f'no torch for CUDA: {error}')
            version, cuda, usable, home = self.look_at_torch()
        force = os.environ.get('FORCE_CUDA')
        nvcc = nvcc_version(home) if self.gpu else None
        return choose_device(self.gpu, version, cuda, usable, nvcc, force)

    def look_at_torch(self) -> List[Any]:
        """Return torch's version, CUDA, whether it is usable, CUDA_HOME."""
        done = self.capture('-W', 'ignore', '-c', LOOK_AT_TORCH)
        if done.returncode:
            raise SetupError(f'torch does not work: {last(done.stderr)}')
        return json.loads(last(done.stdout))

    def add_mmcv(self) -> None:
        """Build mmcv, or take it from pip's cache if that one loads."""
        spec = self.pinned(self.stack.mmcv)
        # Older pips would have setuptools install what it builds.
        build = ('-v', '--no-build-isolation', '--use-pep517', spec)
        if self.missing(spec):
            self.check_compiler()
            say(
                f'building {spec} (about 6 minutes on 2 cores, for CUDA much '
                'longer, seconds if pip has a built copy)'
            )
            self.install('mmcv', *build)
        check = f'CUDA = {self.cuda}{CHECK_MMCV}'
        error = self.error_of(check)
        if error:
            self.check_compiler()
            say(f'{spec} does not fit this torch, building it anew: {error}')
            fresh = ('--no-cache-dir', '--force-reinstall', '--no-deps')
            self.install('mmcv', *fresh, *build)
            error = self.error_of(check)
        if error:
            log = self.state / 'mmcv.log'
            raise SetupError(f'the built {spec} fails: {error} (see {log})')

    def check_compiler(self) -> None:
        """Raise SetupError unless mmcv can be compiled here."""
        compiler = (os.environ.get('CXX') or 'c++').split()[0]
        if not shutil.which(compiler):
            raise SetupError(
                f'no C++ compiler ({compiler}); on Debian or Ubuntu: '
                'apt-get install g++'
            )
        report = self.probe()
        header = Path(report['include'], 'Python.h')
        if not header.is_file():
            version = '.'.join(str(x) for x in report['python'][:2])
            raise SetupError(
                f'no Python headers ({header}); on Debian or Ubuntu: '
                f'apt-get install python{version}-dev'
            )
        check_disk(self.venv, DISK_BUILD)

    def keep_one_opencv(self) -> None:
        """Leave one OpenCV: the two overwrite each other's files.

        Both come in as dependencies. The headless one stays: the other
        needs libGL, which a bare machine does not have.
        """
        have = self.probe()['opencv']
        if len(have) == 1 and not self.error_of('import cv2'):
            return
        say(f'replacing {" and ".join(have)} by {HEADLESS}')
        self.pip('opencv', 'uninstall', '-y', *have)
        self.install('opencv', '--no-deps', self.pinned(HEADLESS))

    # -- running pip -------------------------------------------------------
    def install(self, name: str, *args: str) -> None:
        """Run ``pip install`` within the pinned versions."""
        self.pip(name, 'install', '-c', str(self.pins), *args)

    def pip(self, name: str, *args: str) -> None:
        """Run pip in the environment; its output goes to ``NAME.log``."""
        log = self.state / f'{name.split()[-1]}.log'
        self.run([str(self.python), '-m', 'pip', *args], log)

    def run(self, command: List[str], log: Optional[Path] = None) -> None:
        """Run a program and tell how far it is.

        Raises:
            SetupError: It failed; the message has its last line of error.
        """
        env = dict(os.environ, MMCV_WITH_OPS='1', PIP_NO_INPUT='1')
        env.update(PIP_USER='0', PIP_DISABLE_PIP_VERSION_CHECK='1')
        env.setdefault('MAX_JOBS', str(jobs()))
        if self.gpu:
            # onedl-mmcv asks for nvcc as soon as torch sees a GPU.
            env['FORCE_CUDA'] = str(int(self.cuda))
            if not self.cuda:
                env['CUDA_VISIBLE_DEVICES'] = ''
        if log:  # on the disk that was checked, and removed next time
            env['TMPDIR'] = str(self.state / 'tmp')
        for name in ('PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX'):
            env.pop(name, None)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=str(self.root),
            pass_fds=self.inherited,
        )
        output = follow(process, log)
        status = process.wait()
        if not status:
            return
        reason = last(output, 'error')
        if status < 0:
            reason = f'{Path(command[0]).name} was killed by signal {-status}'
        if 'Killed signal' in output:
            reason = 'the compiler was killed, memory may be short: MAX_JOBS=1'
        raise SetupError(reason + (f' (see {log})' if log else ''))


def follow(process: subprocess.Popen, log: Optional[Path]) -> str:
    """Copy a program's output to a log and print its progress.

    Ninja's ``[12/78]`` is shown every ten seconds; of a program that says
    nothing of the kind, every thirty seconds that it still runs.

    Returns:
        str: The end of the output, at most 20,000 characters.
    """
    begun = shown = time.monotonic()
    pipe, text, done = process.stdout.fileno(), '', ''
    with open(str(log or os.devnull), 'wb', 0) as file:
        while True:
            if select.select([pipe], [], [], 5)[0]:
                data = os.read(pipe, 65536)
                if not data:
                    return text
                file.write(data)
                text = (text + data.decode(errors='replace'))[-20000:]
                counts = re.findall(r'^\s*\[(\d+)/(\d+)\]', text, re.M)
                done = '%s of %s files, ' % counts[-1] if counts else done
            now = time.monotonic()
            if now - shown > (10 if done else 30):
                shown = now
                minutes, seconds = divmod(int(now - begun), 60)
                say(f'  {done}{minutes}:{seconds:02d} min')


def last(text: str, word: str = '') -> str:
    """Return the last line, if possible one that has a word in it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = [line for line in lines if word in line.lower()] or lines
    return chosen[-1][:300] if chosen else 'no message'


def main() -> int:
    """Run the set-up; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--venv',
        type=Path,
        default=ROOT / '.venv',
        help='folder of the virtual environment (default: .venv)',
    )
    parser.add_argument(
        '--stack',
        choices=STACKS,
        default='onedl',
        help='the maintained forks, or the originals (default: onedl)',
    )
    args = parser.parse_args()
    # Programs left over by a killed run hold this lock until they end.
    lock = os.open(str(ROOT), os.O_RDONLY)
    try:
        stack = STACKS[args.stack]
        check_python(sys.version_info, stack.newest)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('waiting for another set-up to end')
            fcntl.flock(lock, fcntl.LOCK_EX)
        venv = Path(os.path.abspath(args.venv))
        environment = Environment(venv, lock=lock, stack=stack)
        if not environment.is_complete():
            environment.complete()
        say(environment.device_file.read_text())
    except SetupError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted; run it again to go on', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
