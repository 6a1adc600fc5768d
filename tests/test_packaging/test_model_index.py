"""Tests of model-index.yml and the metafiles it imports."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.hub import get_config

import mmps

ROOT = Path(__file__).resolve().parents[2]


def index() -> list[str]:
    return yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']


def test_index_names_every_metafile():
    found = ROOT.glob('configs/*/metafile.yml')
    assert sorted(index()) == sorted(
        p.relative_to(ROOT).as_posix() for p in found
    )


@pytest.mark.parametrize('name', index())
def test_metafile_names_existing_configs(name):
    meta = yaml.safe_load((ROOT / name).read_text())
    collections = {c['Name'] for c in meta['Collections']}
    names = [m['Name'] for m in meta['Models']]
    assert len(set(names)) == len(names)
    for model in meta['Models']:
        assert (ROOT / model['Config']).is_file(), model['Config']
        assert model['In Collection'] in collections


def test_names_resolve_from_the_checkout():
    """mmengine reads mmps/.mim; set-up links it to this checkout."""
    mim = Path(mmps.__file__).parent / '.mim'
    assert mim.is_dir(), 'not set up: make setup'
    for name in index():
        model = yaml.safe_load((ROOT / name).read_text())['Models'][0]
        config = model['Config'].removeprefix('configs/')
        cfg = get_config(f'mmps::{config}')
        assert isinstance(cfg, Config)
        assert Path(cfg.filename).samefile(ROOT / 'configs' / config)
