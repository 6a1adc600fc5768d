import os

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmps.utils.checkpoint import (
    hash_weights,
    load_weights,
    read_checkpoint,
    weights_of,
)
from mmps.utils.errors import UsageError


class Evil:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


class Gadget:
    """Reaches for getattr, which a training's log uses as well."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__subclasses__')


def test_reads_what_mmengine_saves(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 1])
    data = dict(
        state_dict=dict(weight=torch.ones(2)),
        meta=dict(epoch=3, seed=np.int64(4), names=['a']),
        message_hub=dict(log_scalars={'loss': buffer}),
    )
    torch.save(data, tmp_path / 'a.pth')
    read = read_checkpoint(tmp_path / 'a.pth')
    assert read['meta'] == data['meta']
    assert read['message_hub']['log_scalars']['loss'].mean() == 3.0
    assert weights_of(read)['weight'].tolist() == [1, 1]


@pytest.mark.parametrize('kind', [Evil, lambda _: Gadget()])
def test_code_in_a_file_is_not_run(tmp_path, kind):
    marker = tmp_path / 'ran'
    torch.save(dict(meta=kind(marker)), tmp_path / 'evil.pth')
    with pytest.raises(UsageError, match=r'evil.pth: holds more than'):
        read_checkpoint(tmp_path / 'evil.pth')
    assert not marker.exists()


@pytest.mark.parametrize('content', [b'', b'junk', b'PK\x03\x04half'])
def test_junk_is_one_error(tmp_path, content):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(UsageError, match=r'a\.pth: '):
        read_checkpoint(tmp_path / 'a.pth')


def test_missing_and_no_dict(tmp_path):
    with pytest.raises(UsageError, match='does not exist'):
        read_checkpoint(tmp_path / 'a.pth')
    torch.save([1], tmp_path / 'a.pth')
    with pytest.raises(UsageError, match='expected a dict'):
        read_checkpoint(tmp_path / 'a.pth')


def test_weights_have_to_fit(tmp_path):
    model = nn.Linear(2, 2)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    with pytest.raises(UsageError, match=r'lacks 1 weights \(first: 1.bias'):
        load_weights(nn.Sequential(nn.Identity(), Bias()), tmp_path / 'a.pth')
    with pytest.raises(UsageError, match='in addition 1 weights .*bias'):
        load_weights(nn.Linear(2, 2, bias=False), tmp_path / 'a.pth')
    with pytest.raises(UsageError, match='does not fit .*size mismatch'):
        load_weights(nn.Linear(3, 2), tmp_path / 'a.pth')


class Bias(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))


def test_hash_is_of_the_weights_alone(tmp_path):
    model = nn.Linear(2, 2)
    state = model.state_dict()
    torch.save(dict(state_dict=state, optimizer={}), tmp_path / 'a.pth')
    torch.save({f'module.{k}': v for k, v in reversed(state.items())},
               tmp_path / 'b.pth')  # fmt: skip
    first = load_weights(nn.Linear(2, 2), tmp_path / 'a.pth')
    assert first == load_weights(nn.Linear(2, 2), tmp_path / 'b.pth')
    assert first == hash_weights(state)
    state['bias'] = state['bias'] + 1
    assert hash_weights(state) != first
