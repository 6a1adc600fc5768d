"""Tests of docs/reproduce.md: commands, configs and published figures."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from mmps.utils.config import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'reproduce.md').read_text()
BLOCKS = re.findall(r'^```bash\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
LINKS = re.findall(r'\]\(([^)]+)\)', PAGE)
# [name](../configs/method/name.py), perhaps a source, and mAP / top-1.
ROWS = re.findall(
    r'\[([\w-]+)\]\(\.\./configs/[\w-]+/[\w-]+\.py\)\s'
    r'(?:\| (?:[^|]* \| )?)?(\d+\.\d+) / (\d+\.\d+)',
    PAGE,
)
METHODS = sorted(
    path.parent.name for path in ROOT.glob('configs/*/metafile.yml')
)


def published():
    """(mAP, top-1) by config name, of the metafiles."""
    figures = {}
    for file in ROOT.glob('configs/*/metafile.yml'):
        for model in yaml.safe_load(file.read_text())['Models']:
            (result,) = model['Results']
            metrics = result['Metrics']
            figures[model['Name']] = (metrics['mAP'], metrics['top-1'])
    return figures


def parse_args(tool, words, monkeypatch):
    """Parse words as the tool does."""
    monkeypatch.setattr(sys, 'argv', [str(tool), *words])
    return runpy.run_path(str(tool))['parse_args']()


@pytest.mark.parametrize('link', sorted(set(LINKS)))
def test_links_lead_somewhere(link):
    path, _, anchor = link.partition('#')
    target = ROOT / 'docs' / (path or 'reproduce.md')
    assert target.is_file()
    if anchor:
        titles = re.findall(r'^#+ (.*)$', target.read_text(), re.MULTILINE)
        names = [
            re.sub(r'[^\w -]', '', title).lower().replace(' ', '-')
            for title in titles
        ]
        assert anchor in names


def test_there_are_commands_for_every_method():
    for tool in ('train.py', 'test.py'):
        for method in METHODS:
            start = f'python tools/{tool} configs/{method}/'
            assert any(line.startswith(start) for line in COMMANDS), (
                f'docs/reproduce.md has no command {start}...'
            )


@pytest.mark.parametrize('command', COMMANDS)
def test_commands_parse(command, monkeypatch):
    """Shell wrappers hand their further arguments to the tools."""
    words = shlex.split(command)
    assert words.pop(0) in ('python', 'bash')
    tool = ROOT / words.pop(0)
    assert tool.is_file()
    if tool.name == 'dist_train.sh':
        config, processes = words[:2]
        assert int(processes) > 1
        words = [config, *words[2:]]
        tool = tool.with_name('train.py')
    args = parse_args(tool, words, monkeypatch)
    if tool.name == 'compare_results.py':
        return
    cfg = load_config(ROOT / args.config, args.cfg_options)
    if tool.name == 'test.py':
        # The last checkpoint of the weights' own config.
        folder, name = Path(args.checkpoint).parts[-2:]
        assert Path(args.config).stem in (folder, f'{folder}_cbgm')
        assert name == f'iter_{cfg.train_cfg.max_iters}.pth'


def test_figures_are_those_of_the_tables():
    figures = published()
    page = {name: (float(a), float(b)) for name, a, b in ROWS}
    assert len(page) == len(ROWS) >= 39
    unknown = {'pcnet_r50_prw_gt-boxes'}  # an upper bound, in no metafile
    for name in page.keys() - unknown:
        assert page[name] == figures[name], name
    readme = (ROOT / 'configs' / 'pcnet' / 'README.md').read_text()
    (bound,) = re.findall(r'_gt-boxes.py\).*\| ([\d.]+) \| ([\d.]+)', readme)
    assert page['pcnet_r50_prw_gt-boxes'] == tuple(map(float, bound))


def test_every_main_config_is_on_the_page():
    figures = published()
    for method in METHODS:
        for file in (ROOT / 'configs' / method).glob(f'{method}*_r*50_*.py'):
            name = file.stem
            if re.search('_table|_ablation|_feature|-release|_low-', name):
                continue
            if name not in figures:
                continue  # there are no published ones of it
            assert f'/{name}.py)' in PAGE, f'docs/reproduce.md lacks {name}'


SCHEDULES = {
    'PCNet': ['pcnet/pcnet'],
    'OIM, NAE, HOIM': ['oim/oim', 'nae/nae', 'hoim/hoim'],
    r'OIMNet\+\+': ['oimnetpp/oimnetpp'],
    'SeqNet': ['seqnet/seqnet'],
    'COAT': ['coat/coat'],
    'SeqNeXt': ['seqnext/seqnext'],
    'FDPS, BOIM': ['fdps/fdps', 'fdps/fdps-boim'],
    'IIDFC': ['iidfc/iidfc'],
    'PGSFL': ['pgsfl/pgsfl'],
}


@pytest.mark.parametrize('method', SCHEDULES)
def test_schedules_are_those_of_the_configs(method):
    row = re.search(rf'^\| {method} \|(.*)\|$', PAGE, re.MULTILINE)[1]
    frames, rate, iterations, size = row.split(' | ')[:4]
    rates = rate.split(' / ') * 2
    counts = re.findall(r'\d+,\d{3}', iterations.partition('(')[0]) * 2
    backbone = 'res2net50' if method == 'IIDFC' else 'r50'
    for name in SCHEDULES[method]:
        for i, data in enumerate(('prw', 'cuhk-sysu')):
            file = f'{name}_{backbone}_{data}.py'
            cfg = load_config(ROOT / 'configs' / file)
            assert cfg.train_dataloader.batch_size == int(frames)
            assert cfg.auto_scale_lr.base_batch_size == int(frames)
            assert cfg.optim_wrapper.optimizer.lr == float(rates[i])
            count = int(counts[i].replace(',', ''))
            assert cfg.train_cfg.max_iters == count
            wanted = tuple(map(int, size.split(' x ')))
            assert cfg.img_scale == wanted


SWITCHES = PAGE[PAGE.index("## Why others' numbers differ") :]


@pytest.mark.parametrize(
    'option', re.findall(r'`(\+?(?:model|test_\w+)\.[^`]+=[^`]+)`', SWITCHES)
)
def test_switches_are_options(option, monkeypatch):
    """Of SeqNet's config, or of PCNet's where there are no RoIs."""
    one_stage = 'model.' in option and 'rcnn' not in option
    config = 'pcnet/pcnet_r50_prw' if one_stage else 'seqnet/seqnet_r50_prw'
    words = [config, 'weights.pth', '--cfg-options', *shlex.split(option)]
    args = parse_args(ROOT / 'tools' / 'test.py', words, monkeypatch)
    cfg = load_config(ROOT / 'configs' / f'{config}.py', args.cfg_options)
    ((key, value),) = args.cfg_options.items()
    for name in key.lstrip('+').split('.'):
        cfg = cfg[int(name) if name.isdigit() else name]
    assert cfg == value
    # What follows '+' is not checked when it is merged.
    if key.startswith('+'):
        source = ROOT / 'mmps' / 'models'
        name = f"'{key.rpartition('.')[2]}'"
        assert any(name in file.read_text() for file in source.rglob('*.py'))


def test_switches_of_the_evaluation_are_options(monkeypatch):
    tool = ROOT / 'tools' / 'analysis_tools' / 'eval_search.py'
    options = re.findall(r'`(--(?!cfg-options)[^`]+)`', SWITCHES)
    assert len(options) >= 6
    for option in options:
        words = ['CONFIG', 'preds.npz', *option.split()]
        parse_args(tool, words, monkeypatch)
