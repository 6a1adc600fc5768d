"""Tests of the set-up's decisions, with pretended programs.

The pretended Python of the environment keeps its state in a file and writes
down every call of pip, so that a set-up takes milliseconds.
"""

import ast
import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / 'tools' / 'setup_env.py'
EXTRAS = ('optional', 'milvus', 'onnx', 'ray', 'video', 'web')
REQUIREMENTS = ('build', 'mminstall', 'runtime', *EXTRAS, 'tests', 'docs')
OPENMMLAB = ('mminstall-openmmlab', 'openmmlab')

FAKE_PYTHON = r"""#!{python} -IS
import json, os, pathlib, sys
path = pathlib.Path({state!r})
state = json.loads(path.read_text())
args = sys.argv[1:]
have = state['have']
broken = state['broken']

def end(text='', code=0):
    path.write_text(json.dumps(state))
    print(text)
    sys.exit(code)

def wanted(files):
    lines = []
    for file in files:
        for line in pathlib.Path(file).read_text().splitlines():
            line = line.partition('#')[0].strip()
            if line:
                lines.append(line)
    return lines

def name_of(spec):
    for sign in '<>=':
        spec = spec.partition(sign)[0]
    return spec

def lacks(spec):
    name = name_of(spec).replace('-headless', '')  # either OpenCV will do
    return name not in have and name + '-headless' not in have

def fail(text):
    path.write_text(json.dumps(state))
    sys.exit('Traceback\n' + text)

if args[0] == '-I' and args[1].endswith('setup_probe.py'):
    files = []
    if '--requirements' in args:
        files = args[args.index('--requirements') + 1:]
        files = files[:files.index('--constraints')]
    removed = state.pop('damaged', []) if '--repair' in args else []
    have[:] = [x for x in have if x not in removed]
    end(json.dumps(dict(
        python=state['python'], include=state['include'], removed=removed,
        missing=[s for s in wanted(files) if lacks(s)],
        opencv=[x for x in have if x.startswith('opencv')])))
if args[0] == '-I':
    code = args[-1]
    if 'import pip' in code:
        end(code=0)
    if 'torch.version.cuda' in code:
        end('a warning\n' + json.dumps(state['torch']))
    if 'CUDA = True' in code and not state.get('cuda_operators'):
        fail('AssertionError: built without CUDA')
    if 'mmcv._ext' in code and '_ext' in broken:
        fail('ImportError: undefined symbol')
    if 'cv2' in code and 'cv2' in broken:
        fail('ImportError: libGL.so.1')
    if 'mmdet' in code and 'all' in broken:
        fail('ImportError: nothing works')
    end()
assert args[:2] == ['-m', 'pip'], args
state['calls'].append(args[2:])
if any('onedl-mmcv' in a for a in args):
    names = ('FORCE_CUDA', 'CUDA_VISIBLE_DEVICES')
    state['built_with'] = dict((x, os.environ.get(x)) for x in names)
    state['cuda_operators'] = os.environ.get('FORCE_CUDA') == '1'
if state.get('fail') in args or state.get('fail') in [
    name_of(a) for a in args
]:
    print('collecting')
    print('ERROR: no such version')
    end('that is all', 1)
if args[2] == 'uninstall':
    have[:] = [x for x in have if x not in args]
    end()
if '--no-cache-dir' in args and not state.get('hopeless'):
    broken[:] = [x for x in broken if x != '_ext']
if 'opencv-python-headless' in [name_of(a) for a in args]:
    broken[:] = [x for x in broken if x != 'cv2']
if any(a.startswith('torch===') for a in args):
    state['torch'] = state.get('other_torch', state['torch'])
files = [args[i + 1] for i, a in enumerate(args) if a == '-r']
specs = [a for a in args[3:] if '==' in a] + wanted(files)
for spec in specs:
    if name_of(spec) not in have:
        have.append(name_of(spec))
    if 'onedl' in spec and '--no-deps' not in args:
        have += [x for x in ('opencv-python', 'opencv-python-headless')
                 if x not in have]
print('  [1/2] c++ a.o')
end()
"""


def load():
    """Import the script as a module of its own."""
    spec = importlib.util.spec_from_file_location('setup_env_script', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Its folder is on the path when it runs; here it would shadow others.
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPT.parent))
    return module


class World:
    """A checkout, a machine and an environment, all pretended."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.script = load()
        self.root = folder / 'checkout'
        (self.root / 'requirements').mkdir(parents=True)
        (self.root / 'mmps' / '.mim' / 'configs').mkdir(parents=True)
        for name in (*REQUIREMENTS, 'pinned', *OPENMMLAB):
            source = ROOT / 'requirements' / f'{name}.txt'
            target = self.root / 'requirements' / source.name
            target.write_text(source.read_text())
        for name in ('setup.py', 'pyproject.toml'):
            (self.root / name).touch()
        headers = folder / 'headers'
        headers.mkdir()
        (headers / 'Python.h').touch()
        self.state_file = folder / 'state.json'
        self.write(
            python=[3, 11, 7],
            include=str(headers),
            have=[],
            broken=[],
            calls=[],
            torch=['2.13.0+cpu', None, False, None],
        )
        monkeypatch.setattr(self.script, 'has_gpu', lambda: False)
        monkeypatch.delenv('FORCE_CUDA', raising=False)
        self.environment = self.script.Environment(
            self.root / '.venv', self.root
        )
        self.make_venv()
        tools = folder / 'bin'
        tools.mkdir()
        (tools / 'c++').write_text('#!/bin/sh\n')
        (tools / 'c++').chmod(0o755)
        monkeypatch.setenv('PATH', str(tools))
        monkeypatch.delenv('CXX', raising=False)
        self.compiler = tools / 'c++'

    def make_venv(self) -> None:
        python = self.environment.python
        python.parent.mkdir(parents=True)
        python.write_text(
            FAKE_PYTHON.format(
                python=sys.executable, state=str(self.state_file)
            )
        )
        python.chmod(0o755)
        (self.root / '.venv' / 'pyvenv.cfg').write_text('version = 3.11\n')

    def write(self, **changes) -> None:
        state = self.read() if self.state_file.exists() else {}
        self.state_file.write_text(json.dumps({**state, **changes}))

    def read(self) -> dict:
        return json.loads(self.state_file.read_text())

    def complete(self) -> list[str]:
        """Run the set-up; returns its calls of pip as lines."""
        self.write(calls=[])
        self.environment.complete()
        return self.calls()

    def calls(self) -> list[str]:
        return [' '.join(call) for call in self.read()['calls']]


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    return World(tmp_path, monkeypatch)


def test_installs_everything_in_order(world):
    assert not world.environment.is_complete()
    calls = world.complete()
    marks = ('build.txt', 'spec.txt', 'spec.txt', 'onedl-mmcv==')
    marks += ('tests.txt', 'uninstall', 'opencv-python-headless==', '-e')
    assert len(calls) == len(marks)
    for call, mark in zip(calls, marks, strict=True):
        assert mark in call
    pins = f'-c {world.root}/requirements/pinned.txt'
    for call in calls:
        pinned = 'uninstall' not in call and '-e' not in call.split()
        assert (pins in call) == pinned
    assert '--no-build-isolation' in calls[3]
    have = world.read()['have']
    assert [x for x in have if 'opencv' in x] == ['opencv-python-headless']
    assert world.environment.is_complete()


def test_second_run_has_nothing_to_install(world):
    world.complete()
    (call,) = world.complete()
    assert call.endswith(f'-e {world.root}')


def test_changed_inputs_are_looked_at_again(world):
    world.complete()
    inputs = ('requirements/tests.txt', 'requirements/pinned.txt')
    inputs += ('pyproject.toml', '.venv/pyvenv.cfg')
    for name in inputs:
        path = world.root / name
        before = path.read_text()
        path.write_text(f'{before}# changed\n')
        assert not world.environment.is_complete(), name
        path.write_text(before)
        assert world.environment.is_complete(), name
    (world.root / 'mmps' / '.mim' / 'configs').rmdir()
    assert not world.environment.is_complete()


def test_changed_packages_are_looked_at_again(world):
    site = world.root / '.venv' / 'lib' / 'python3.11' / 'site-packages'
    site.mkdir(parents=True)
    world.complete()
    assert world.environment.is_complete()
    (site / 'numpy-1.0.dist-info').mkdir()
    assert not world.environment.is_complete()


@pytest.mark.parametrize('step', ['torch', 'onedl-mmcv', '-e'])
def test_goes_on_where_it_stopped(world, step):
    world.write(fail=step)
    if step == 'torch':  # comes from a file
        world.write(fail=str(world.environment.state / 'spec.txt'))
    with pytest.raises(world.script.SetupError) as info:
        world.complete()
    assert str(info.value).startswith('ERROR: no such version (see ')
    assert not world.environment.is_complete()
    done = [c for c in world.calls()[:-1] if 'uninstall' not in c]
    world.write(fail=None)
    again = world.complete()
    assert not set(done) & set(again)
    assert world.environment.is_complete()


def test_half_installed_packages_are_installed_again(world, capsys):
    world.complete()
    world.write(damaged=['scipy'])
    calls = world.complete()
    assert any('runtime.txt' in call for call in calls)
    assert 'scipy was half installed' in capsys.readouterr().out


def test_operators_that_do_not_load_are_built_without_cache(world, capsys):
    world.write(broken=['_ext'])
    calls = world.complete()
    builds = [c for c in calls if 'onedl-mmcv==' in c]
    assert len(builds) == 2
    assert '--no-cache-dir' not in builds[0]
    assert '--no-cache-dir --force-reinstall --no-deps' in builds[1]
    assert 'undefined symbol' in capsys.readouterr().out


def test_operators_that_never_load_are_an_error(world):
    world.write(broken=['_ext'], hopeless=True)
    with pytest.raises(world.script.SetupError, match='undefined symbol'):
        world.complete()
    assert not world.environment.is_complete()


def test_opencv_that_does_not_load_is_replaced(world):
    world.complete()
    world.write(have=[*world.read()['have'], 'opencv-python'])
    have = [x for x in world.read()['have'] if not x.endswith('-headless')]
    world.write(have=have, broken=['cv2'])
    calls = world.complete()
    assert calls[0] == 'uninstall -y opencv-python'
    assert 'opencv-python-headless' in world.read()['have']


def test_one_opencv_that_loads_is_left_alone(world):
    world.complete()
    have = [x for x in world.read()['have'] if 'opencv' not in x]
    world.write(have=[*have, 'opencv-python'])
    assert len(world.complete()) == 1
    assert 'opencv-python' in world.read()['have']


def test_environment_that_does_not_work_is_an_error(world):
    world.complete()
    world.write(broken=['all'])
    with pytest.raises(world.script.SetupError, match='nothing works'):
        world.complete()
    assert not world.environment.is_complete()


def test_untested_python_gets_the_pins_of_the_frameworks(world, capsys):
    world.write(python=[3, 12, 1])
    calls = world.complete()
    assert 'untested' in capsys.readouterr().out
    pins = world.environment.state / 'pinned.txt'
    assert f'-c {pins}' in calls[0]
    names = {line.partition('==')[0] for line in pins.read_text().split()}
    assert names == {
        *('torch', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection'),
        *('opencv-python', 'opencv-python-headless'),
    }


# -- a GPU ------------------------------------------------------------------

CUDA_TORCH = ['2.13.0', '13.0', True, None]


def toolkit(world: World, release: str) -> list:
    """Torch for CUDA, and a pretended toolkit of some release."""
    home = world.root.parent / 'cuda'
    (home / 'bin').mkdir(parents=True, exist_ok=True)
    nvcc = home / 'bin' / 'nvcc'
    nvcc.write_text(
        f'#!/bin/sh\necho "Cuda compilation tools, release {release}, V1"\n'
    )
    nvcc.chmod(0o755)
    return [*CUDA_TORCH[:3], str(home)]


def with_gpu(world: World, **state) -> None:
    world.environment.gpu = True
    world.write(**state)


def line(world: World) -> str:
    text = world.environment.device_file.read_text()
    assert '\n' not in text
    return text


def test_no_gpu(world):
    world.complete()
    assert line(world) == 'the CPU is used: there is no NVIDIA GPU'
    assert world.read()['built_with']['FORCE_CUDA'] is None


def test_gpu_with_a_compiler_gets_cuda_operators(world):
    with_gpu(world, torch=toolkit(world, '13.0'))
    calls = world.complete()
    assert not any('===' in call for call in calls)
    assert line(world) == (
        "the GPU is used: torch 2.13.0 and mmcv's operators for CUDA 13.0"
    )
    assert world.read()['built_with'] == {
        'FORCE_CUDA': '1',
        'CUDA_VISIBLE_DEVICES': None,
    }
    assert world.environment.is_complete()


def test_gpu_without_a_compiler_gets_operators_for_cpus(world):
    """onedl-mmcv itself would fail for want of nvcc."""
    with_gpu(world, torch=CUDA_TORCH)
    world.complete()
    text = line(world)
    assert text.startswith('the CPU is used, although there is an NVIDIA GPU')
    assert "mmcv's operators are built for CPUs" in text
    assert 'CUDA toolkit 13.0' in text
    assert world.read()['built_with'] == {
        'FORCE_CUDA': '0',
        'CUDA_VISIBLE_DEVICES': '',
    }


def test_compiler_that_came_later_is_used(world, capsys):
    with_gpu(world, torch=CUDA_TORCH)
    world.complete()
    (world.environment.state / 'stamp').unlink()
    world.write(torch=toolkit(world, '13.1'))
    calls = world.complete()
    (build,) = [c for c in calls if 'onedl-mmcv==' in c]
    assert '--no-cache-dir --force-reinstall --no-deps' in build
    assert 'built without CUDA' in capsys.readouterr().out
    assert line(world).startswith('the GPU is used')


def test_torch_for_cpus_is_replaced_where_there_is_a_gpu(world):
    with_gpu(world, other_torch=toolkit(world, '13.0'))
    calls = world.complete()
    (call,) = [c for c in calls if '===' in c]
    pinned = world.environment.pinned('torch').partition('==')[2]
    assert call.endswith(f'torch==={pinned}')
    assert line(world).startswith('the GPU is used')
    assert not any('===' in call for call in world.complete())


def test_no_torch_for_cuda_is_no_error(world, capsys):
    pinned = world.environment.pinned('torch').partition('==')[2]
    with_gpu(world, fail=f'torch==={pinned}')
    world.complete()
    assert line(world).endswith('torch 2.13.0+cpu is built for CPUs only')
    assert 'no torch for CUDA: ERROR: no such version' in (
        capsys.readouterr().out
    )
    assert world.environment.is_complete()


def test_gpu_that_came_later_is_looked_at(world):
    world.complete()
    assert world.environment.is_complete()
    world.environment.gpu = True
    assert not world.environment.is_complete()


@pytest.mark.parametrize(
    ('found', 'cuda', 'words'),
    [
        (dict(gpu=False), False, 'there is no NVIDIA GPU'),
        (dict(gpu=False, force='1'), True, 'FORCE_CUDA=1'),
        (dict(), True, 'the GPU is used: torch 2.13.0 and'),
        (dict(nvcc='13.4'), True, 'the GPU is used'),
        (dict(force='0'), False, 'FORCE_CUDA=0'),
        (dict(cuda=None), False, 'torch 2.13.0 is built for CPUs only'),
        (dict(usable=False), False, 'driver may be too old'),
        (dict(nvcc=None), False, 'install the CUDA toolkit 13.0'),
        (dict(nvcc='12.8'), False, 'nvcc is that of CUDA 12.8; install'),
    ],
)
def test_device_and_operators(found, cuda, words):
    machine = dict(
        gpu=True, torch='2.13.0', cuda='13.0', usable=True, nvcc='13.0'
    )
    decision, text = load().choose_device(**{**machine, **found})
    assert decision == cuda
    assert words in text
    assert '\n' not in text


def test_compiler_of_no_toolkit(tmp_path):
    script = load()
    assert script.nvcc_version(None) is None
    assert script.nvcc_version(str(tmp_path)) is None


@pytest.fixture
def openmmlab(world) -> World:
    """The same with the other set of versions."""
    script = world.script
    world.write(python=[3, 10, 13])
    world.environment = script.Environment(
        world.root / '.venv', world.root, stack=script.STACKS['openmmlab']
    )
    return world


def test_openmmlab_has_pins_and_frameworks_of_its_own(openmmlab, capsys):
    calls = openmmlab.complete()
    assert 'untested' not in capsys.readouterr().out
    (build,) = (call for call in calls if ' mmcv==2.1.0' in call)
    assert '--no-build-isolation --use-pep517' in build
    for call in calls:
        assert 'pinned.txt' not in call
        assert 'mminstall.txt' not in call
    (rest,) = (call for call in calls if 'tests.txt' in call)
    assert 'mminstall-openmmlab.txt' in rest
    assert 'docs.txt' not in rest  # Sphinx for Python 3.10 is an old one
    assert f'-c {openmmlab.root}/requirements/openmmlab.txt' in rest
    have = openmmlab.read()['have']
    assert {'torch', 'mmengine', 'mmcv', 'mmdet'} <= set(have)
    assert not [name for name in have if 'onedl' in name]
    assert openmmlab.environment.is_complete()
    # The environment of one set is not that of the other.
    other = openmmlab.script.Environment(
        openmmlab.root / '.venv', openmmlab.root
    )
    assert not other.is_complete()


def test_openmmlab_keeps_to_old_numpys_on_other_pythons(openmmlab, capsys):
    openmmlab.write(python=[3, 11, 7])
    openmmlab.complete()
    said = capsys.readouterr().out
    assert 'Python 3.11 is untested, 3.10 is tested' in said
    pins = openmmlab.environment.state / 'pinned.txt'
    names = {line.partition('==')[0] for line in pins.read_text().split()}
    assert names == {
        *('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet'),
        *('opencv-python', 'opencv-python-headless'),
    }


# -- what is missing on the machine, in one line ---------------------------


def error(world: World) -> str:
    with pytest.raises(world.script.SetupError) as info:
        world.complete()
    assert '\n' not in str(info.value)
    return str(info.value)


def test_no_compiler(world):
    world.compiler.unlink()
    assert 'no C++ compiler (c++)' in error(world)
    assert 'apt-get install g++' in error(world)


def test_other_compiler(world, monkeypatch):
    monkeypatch.setenv('CXX', 'clang++ -O2')
    assert 'no C++ compiler (clang++)' in error(world)


def test_no_compiler_needed_once_built(world):
    world.complete()
    world.compiler.unlink()
    # The stamp gone, every step is looked at again.
    (world.environment.state / 'stamp').unlink()
    assert not world.environment.is_complete()
    world.complete()
    assert world.environment.is_complete()


def test_no_headers(world):
    Path(world.read()['include'], 'Python.h').unlink()
    text = error(world)
    assert 'no Python headers' in text
    assert 'apt-get install python3.11-dev' in text


def test_no_disk(world, monkeypatch):
    usage = type('Usage', (), {'free': 2**29})
    monkeypatch.setattr(world.script.shutil, 'disk_usage', lambda p: usage)
    text = error(world)
    assert '0.5 GiB free' in text
    assert 'GiB are needed' in text


@pytest.mark.parametrize('version', [(2, 7), (3, 9, 18)])
def test_python_too_old(world, version):
    with pytest.raises(world.script.SetupError, match='3.10 or later'):
        world.script.check_python(version)
    world.script.check_python((3, 10, 0))
    world.write(python=[3, 9, 18])
    assert 'Python 3.9 is too old' in error(world)


def test_python_too_new_for_openmmlab(openmmlab):
    openmmlab.write(python=[3, 12, 1])
    message = error(openmmlab)
    assert message.startswith('Python 3.12 is too new for this set')
    assert '3.11 is the last' in message


def test_no_venv_module(world, monkeypatch, tmp_path):
    python = tmp_path / 'bare-python'
    python.write_text('#!/bin/sh\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(world.script.sys, 'executable', str(python))
    (world.root / '.venv' / 'bin' / 'python').unlink()
    assert 'apt-get install python3-venv' in error(world)


def test_a_folder_that_is_no_environment_is_left_alone(world):
    environment = world.script.Environment(world.root, world.root)
    with pytest.raises(world.script.SetupError, match='no virtual env'):
        environment.make_venv()
    assert (world.root / 'setup.py').exists()


# -- the real programs -----------------------------------------------------


@pytest.mark.slow
def test_broken_environment_is_made_anew(tmp_path):
    script = load()
    environment = script.Environment(tmp_path / 'venv', tmp_path)
    (tmp_path / 'venv' / 'lib').mkdir(parents=True)  # an interrupted venv
    environment.make_venv()
    assert environment.error_of('import pip') is None
    made = environment.python.stat().st_ctime_ns
    environment.make_venv()
    assert environment.python.stat().st_ctime_ns == made
    assert 'No module' in environment.error_of('import nothing_of_the_kind')


def test_progress_and_last_error(tmp_path, capsys, monkeypatch):
    script = load()
    times = iter(range(0, 10000, 20))
    monkeypatch.setattr(script.time, 'monotonic', lambda: next(times))
    code = (
        "print('  [1/3] c++ a', flush=True)\n"
        "print('Error: one', flush=True)\n"
        "print('bye'); raise SystemExit(1)"
    )
    environment = script.Environment(tmp_path, tmp_path)
    with pytest.raises(script.SetupError, match='^Error: one .see .*log'):
        environment.run([sys.executable, '-c', code], tmp_path / 'x.log')
    assert '1 of 3 files' in capsys.readouterr().out
    assert 'bye' in (tmp_path / 'x.log').read_text()


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        ('import os; os.kill(os.getpid(), 9)', 'python.* killed by signal 9'),
        (
            "print('c++: fatal error: Killed signal terminated program"
            " cc1plus'); print('ERROR: no wheel'); raise SystemExit(1)",
            'memory may be short: MAX_JOBS=1',
        ),
    ],
)
def test_killed_programs(tmp_path, code, message):
    script = load()
    environment = script.Environment(tmp_path, tmp_path)
    with pytest.raises(script.SetupError, match=message):
        environment.run([sys.executable, '-c', code])


HOLD_LOCK = """
import fcntl, importlib.util, os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
spec = importlib.util.spec_from_file_location('script', sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
folder = script.Path(sys.argv[2])
lock = os.open(sys.argv[2], os.O_RDONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
code = 'import os, time; open("pid.new", "w").write(str(os.getpid()));'
code += 'os.rename("pid.new", "pid"); time.sleep(120)'
environment = script.Environment(folder, folder, lock=lock)
environment.run([sys.executable, '-c', code])
"""


def test_lock_outlives_a_killed_set_up(tmp_path):
    """As long as the program it started (pip, say) runs."""
    command = [sys.executable, '-c', HOLD_LOCK, str(SCRIPT), str(tmp_path)]
    parent = subprocess.Popen(command)
    try:
        wait_for((tmp_path / 'pid').exists)
    finally:
        parent.kill()
        parent.wait()
    child = int((tmp_path / 'pid').read_text())
    lock = os.open(tmp_path, os.O_RDONLY)

    def free() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        assert not free()
    finally:
        os.kill(child, signal.SIGKILL)
    wait_for(free)
    os.close(lock)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.05)


def test_parses_on_old_pythons():
    """So that they can be told that they are too old."""
    old = dict(feature_version=(3, 7))
    for script in SCRIPT.parent.glob('setup_[!p]*.py'):
        assert ast.parse(script.read_text(), **old).body
    with pytest.raises(SyntaxError):  # what such a Python does not know
        ast.parse('(x := 1)', **old)
