import copy
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmps.checkpoints.loaders import load_weights
from mmps.checkpoints.reading import (
    hash_weights,
    read_checkpoint,
    weights_of,
)
from mmps.checkpoints.safetensors_file import safetensors_bytes
from mmps.models.memories import IdentityMemory
from mmps.utils.errors import UsageError

from bad_checkpoints import (
    KINDS,
    READABLE,
    write_bad_checkpoint,
)


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


FILES = sorted((Path(__file__).parents[1] / 'data').glob('checkpoint_*.pth'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_files_of_both_sets_of_versions(path):
    """Weights, memory, optimizer and log, whichever of them is installed."""
    torch.manual_seed(0)
    memory = IdentityMemory(3, 4, queue_size=2)
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, memory)
    memory.update(torch.eye(4), torch.tensor([0, 1, -1, 2]))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)

    def step(layer, optimizer):
        optimizer.zero_grad()
        layer(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        return layer.weight.detach()

    step(layer, optimizer)
    expected = copy.deepcopy(model.state_dict())
    read = read_checkpoint(path)
    for key, value in weights_of(read).items():
        torch.testing.assert_close(value, expected.pop(key))
    assert not expected

    other = nn.Sequential(nn.Linear(4, 4), IdentityMemory(3, 4, queue_size=2))
    load_weights(other, path)
    again = torch.optim.AdamW(other[0].parameters())
    again.load_state_dict(read['optimizer'])
    torch.testing.assert_close(step(other[0], again), step(layer, optimizer))
    assert read['message_hub']['log_scalars']['train/loss'].mean() == 0.375
    assert read['meta']['seed'] == 4
    assert read['meta']['dataset_meta']['ids'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('kind', KINDS)
def test_code_in_a_file_is_not_run(tmp_path, kind):
    marker, path = tmp_path / 'ran', tmp_path / 'evil.pth'
    write_bad_checkpoint(kind, path, marker)
    with pytest.raises(UsageError) as info:
        read_checkpoint(path)
    assert 'evil.pth: holds more than weights' in str(info.value)
    assert '--trust-checkpoint' in str(info.value)
    with pytest.raises(UsageError):
        load_weights(nn.Linear(1, 1), path)
    assert not marker.exists()


@pytest.mark.parametrize('kind', READABLE)
def test_a_trusted_file_is_read_with_a_warning(tmp_path, kind):
    marker, path = tmp_path / 'ran', tmp_path / 'evil.pth'
    state = nn.Linear(2, 2).state_dict()
    write_bad_checkpoint(kind, path, marker, dict(state_dict=state))
    with pytest.warns(UserWarning, match=r'evil.pth.* code in it is run'):
        read = read_checkpoint(path, trust=True)
    assert marker.exists()
    assert torch.equal(weights_of(read)['weight'], state['weight'])


def test_trust_warns_of_nothing_where_it_is_not_needed(tmp_path, recwarn):
    torch.save(dict(state_dict={}), tmp_path / 'a.pth')
    read_checkpoint(tmp_path / 'a.pth', trust=True)
    assert not recwarn.list


def test_safetensors_under_any_name(tmp_path):
    model = nn.Linear(2, 2)
    for name in ('a.safetensors', 'a.pth'):
        content = safetensors_bytes(model.state_dict(), dict(epoch=3))
        (tmp_path / name).write_bytes(content)
        assert read_checkpoint(tmp_path / name)['meta'] == dict(epoch=3)
        again = nn.Linear(2, 2)
        digest = load_weights(again, tmp_path / name)
        assert digest == hash_weights(model.state_dict())
        assert torch.equal(again.weight, model.weight)


def half_a_checkpoint() -> bytes:
    file = io.BytesIO()
    torch.save(dict(a=torch.ones(100)), file)
    return file.getvalue()[:-200]


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'empty file'),
        (b'junk', '.*'),
        (b'\n<html>', 'it is a web page, .*'),
        (b'PK\x03\x04half', '.*'),
        # torch's own message has four sentences.
        (half_a_checkpoint(), '[^.]*central directory'),
        (b'\2' + bytes(7) + b'{x', '.*'),
    ],
)
def test_junk_is_one_error(tmp_path, content, reason):
    (tmp_path / 'a.pth').write_bytes(content)
    message = rf'a\.pth: cannot be read \({reason}\); expected a whole \.pth'
    for trust in (False, True):
        with pytest.raises(UsageError, match=message):
            read_checkpoint(tmp_path / 'a.pth', trust)


def test_missing_and_no_dict(tmp_path):
    with pytest.raises(UsageError, match='does not exist'):
        read_checkpoint(tmp_path / 'a.pth')
    with pytest.raises(UsageError, match='is not a file'):
        read_checkpoint(tmp_path)
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


def test_a_memory_of_other_people_does_not_fit(tmp_path):
    memory = IdentityMemory(3, 4, queue_size=2)
    torch.save(memory.state_dict(), tmp_path / 'a.pth')
    with pytest.raises(UsageError, match=r'a.pth: does not fit .*3'):
        load_weights(IdentityMemory(5, 4, queue_size=2), tmp_path / 'a.pth')


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


def test_state_that_is_no_dict():
    with pytest.raises(UsageError, match='state_dict: expected a dict'):
        weights_of(dict(state_dict=[1, 2]))
