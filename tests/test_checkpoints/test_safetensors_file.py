import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from mmps.checkpoints.safetensors_file import (
    is_safetensors,
    read_safetensors,
    safetensors_bytes,
)

META = dict(
    cfg="model = dict(type='A')\nlr = 1e-3  # \u00e9\n",
    dataset_meta=dict(classes=['person'], palette=[[220, 20, 60]]),
    epoch=3,
    iter=1200,
    mmps_version='1.0',
)


def weights():
    kinds = (
        torch.float64, torch.float32, torch.float16, torch.bfloat16,
        torch.int64, torch.int32, torch.uint8, torch.bool,
    )  # fmt: skip
    state = {f'kind.{i}': torch.ones(2, 3).to(k) for i, k in enumerate(kinds)}
    return {
        **state,
        'scalar': torch.tensor(7),
        'empty': torch.zeros(0, 5),
        'odd': torch.tensor([float('nan'), float('inf'), -0.0, 5e-324]),
    }


def test_what_goes_in_comes_out(tmp_path):
    state = weights()
    (tmp_path / 'a').write_bytes(safetensors_bytes(state, META))
    read = read_safetensors(tmp_path / 'a')
    assert read['meta'] == META
    assert set(read['state_dict']) == set(state)
    for key, value in state.items():
        found = read['state_dict'][key]
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        assert found.reshape(-1).view(torch.uint8).tolist() == (
            value.reshape(-1).view(torch.uint8).tolist()
        )


def test_any_file_of_the_format(tmp_path):
    path = tmp_path / 'a.safetensors'
    save_file(dict(a=torch.ones(2)), path)
    assert read_safetensors(path)['meta'] == {}
    save_file(
        dict(a=torch.ones(2)), path, dict(epoch='last', iter='5', who='me')
    )
    meta = read_safetensors(path)['meta']
    assert meta == dict(epoch='last', iter=5, who='me')


def test_the_same_bytes_again(tmp_path):
    contents = {safetensors_bytes(weights(), META) for _ in range(20)}
    assert len(contents) == 1
    (content,) = contents
    (size,) = struct.unpack('<Q', content[:8])
    assert size % 8 == 0  # tensors lie as the library's own files have them
    assert content[8:10] == b'{"'


@pytest.mark.parametrize(
    'device', ['cpu', torch.device('cpu'), None, {}, lambda s, _: s]
)
def test_devices(tmp_path, device):
    (tmp_path / 'a').write_bytes(safetensors_bytes(weights(), {}))
    state = read_safetensors(tmp_path / 'a', device)['state_dict']
    assert state['scalar'].device.type == 'cpu'


def test_is_told_by_its_content(tmp_path):
    content = safetensors_bytes(weights(), {})
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    assert is_safetensors(path)
    torch.save(weights(), path)
    assert not is_safetensors(path)
    torch.save(weights(), path, _use_new_zipfile_serialization=False)
    assert not is_safetensors(path)
    for junk in (b'', b'junk', content[:8], content[:40], b'\xff' * 8 + b'{'):
        path.write_bytes(junk)
        assert not is_safetensors(path)


def test_a_header_that_lies_is_refused(tmp_path):
    content = safetensors_bytes(dict(a=torch.ones(4)), {})
    (size,) = struct.unpack('<Q', content[:8])
    header = json.loads(content[8 : 8 + size])
    for change in (
        dict(data_offsets=[0, 400]),
        dict(shape=[400]),
        dict(dtype='Q8'),
        dict(data_offsets=[16, 0]),
    ):
        text = json.dumps({'a': {**header['a'], **change}}).encode()
        path = tmp_path / 'a'
        path.write_bytes(
            struct.pack('<Q', len(text)) + text + content[8 + size :]
        )
        with pytest.raises(Exception, match=r'.'):
            read_safetensors(path)
