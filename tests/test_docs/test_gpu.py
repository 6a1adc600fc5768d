"""Tests of docs/gpu.md: its commands, its configs, and all methods."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from mmps.utils.config import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'gpu.md').read_text()
BLOCKS = re.findall(r'^```bash\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.splitlines()
]
TOOLS = [words for words in COMMANDS if words[1].startswith('tools/')]


@pytest.mark.parametrize('words', TOOLS, ids=' '.join)
def test_commands_parse(words, monkeypatch):
    program, tool, *options = words
    assert program == ('bash' if tool.endswith('.sh') else 'python')
    path = ROOT / tool
    if path.name == 'dist_train.sh':
        path, (_, *rest) = path.with_name('train.py'), options[1:]
        options = [options[0], *rest]
    monkeypatch.setattr(sys, 'argv', [str(path), *options])
    args = runpy.run_path(str(path))['parse_args']()
    if path.name == 'train.py':
        cfg = load_config(ROOT / args.config, args.cfg_options)
        assert cfg.optim_wrapper.type in (
            'OptimWrapper',
            'mmps.BF16OptimWrapper',
        )
    else:
        assert args.device == 'cuda'


def test_a_training_of_every_family():
    trained = {
        Path(option).parent.name
        for words in TOOLS
        if words[1] == 'tools/train.py' and '--amp' in words
        for option in words
        if option.startswith('configs/')
    }
    families = {path.parent.name for path in ROOT.glob('configs/*/README.md')}
    assert trained == families, 'one training of each under "Train"'


def test_operators_and_tests():
    assert ['python', '-m', 'pytest', '-m', 'gpu'] in COMMANDS
    assert any('FORCE_CUDA=1' in words for words in COMMANDS)
    assert '](docs/gpu.md)' in (ROOT / 'README.md').read_text()
