"""Tests of the table of past scenes."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.memories import SceneMemory

from process_group import run_group

D, P = 4, 3


def step(frames, ids, seed=0):
    """Arguments of an update: random vectors, people as given."""
    generator = torch.Generator().manual_seed(seed)
    scenes = torch.randn(len(frames), D, generator=generator)
    people = torch.randn(len(frames), P, D, generator=generator)
    ids = torch.tensor([[*row, *[-2] * (P - len(row))] for row in ids])
    return torch.tensor(frames), scenes, people, ids


def memory(**kwargs):
    return SceneMemory(num_scenes=10, people_per_scene=P, embed_dims=D)


def test_frames_have_places_of_their_own():
    table = memory()
    first, second = step([3, 7], [[0, 1], [-1]]), step([7, 13], [[2], [5]], 1)
    table.update(*first)
    assert table.frames[:-1].tolist() == [-1, -1, -1, 3, -1, -1, -1, 7, -1, -1]
    torch.testing.assert_close(
        table.scenes[[3, 7]].float(), first[1], atol=1e-3, rtol=1e-3
    )
    # Frame 13 shares the place of frame 3.
    table.update(*second)
    assert table.frames[[3, 7]].tolist() == [13, 7]
    for stored, given in (
        (table.scenes, second[1]),
        (table.people, second[2]),
    ):
        torch.testing.assert_close(
            stored[[7, 3]].float(), given, atol=1e-3, rtol=1e-3
        )
    assert table.person_ids[[7, 3]].tolist() == [[2, -2, -2], [5, -2, -2]]
    assert (table.person_ids[-1] == -2).all()
    assert table.frames[-1] == -1


def test_what_is_not_kept():
    table = memory()
    frames, scenes, people, ids = step([1, 2, 3, 3], [[], [1], [4], [5]])
    scenes[1, 0] = float('nan')
    table.update(frames, scenes, people, ids)
    # Nobody in the first, nonsense in the second, the last of the third.
    assert table.frames.tolist() == [-1, -1, -1, 3] + [-1] * 7
    assert table.person_ids[3].tolist() == [5, -2, -2]
    assert not table.scenes[:3].any()


def test_deferred_steps_are_written_or_forgotten():
    direct, deferred = memory(), memory()
    deferred.deferred = True
    for seed, frames in enumerate(([1, 2], [2, 5])):
        arguments = step(frames, [[seed], [-1]], seed)
        direct.update(*arguments)
        deferred.update(*arguments)
    assert (deferred.frames == -1).all()
    deferred.commit()
    for one, other in zip(direct.buffers(), deferred.buffers()):
        assert torch.equal(one, other)
    deferred.update(*step([8], [[1]]))
    deferred.discard()
    deferred.commit()
    assert deferred.frames[8] == -1


def test_draws_a_scene_with_the_person_and_one_that_is_hard_to_tell():
    table = memory()
    people = {0: [1, 2], 1: [1], 2: [2, 3], 3: [4], 4: [3, -1], 5: [1, 2]}
    table.update(*step(list(people), list(people.values())))
    # The batch: frame 0 again with people 1 and 2, frame 9 with unlabelled.
    ids, owners = torch.tensor([1, 2, -1, 1]), torch.tensor([0, 0, 1, 1])
    frames = torch.tensor([0, 9])
    seen = set()
    for seed in range(60):
        torch.manual_seed(seed)
        drawn = table.draw(ids, owners, frames, 2)
        assert drawn.scenes.shape == (4, D)
        assert drawn.people.shape == (4, P, D)
        rows = [
            (stored == drawn.scenes[i].half()).all(1).nonzero().item()
            for i in range(4)
            if drawn.valid[i]
            for stored in [table.scenes[:-1]]
        ]
        assert len(set(rows)) == len(rows)
        assert 0 not in rows  # of the batch
        assert 3 not in rows  # shares nobody
        for i, row in zip(drawn.valid.nonzero().flatten().tolist(), rows):
            assert drawn.person_ids[i].tolist() == (
                table.person_ids[row].tolist()
            )
            has = set(people[row])
            if i < 2:
                assert has & {1, 2}
            else:
                # One of 1 and 2, not both: both are in the own scene.
                assert len(has & {1, 2}) == 1
            seen.add((i, row))
    assert {row for i, row in seen if i < 2} == {1, 2, 5}
    assert {row for i, row in seen if i >= 2} == {1, 2}


@pytest.mark.parametrize('ids', [[], [-1, -1]])
def test_nobody_labelled_draws_nothing(ids):
    table = memory()
    table.update(*step([1, 2], [[1], [2]]))
    drawn = table.draw(
        torch.tensor(ids, dtype=torch.long),
        torch.zeros(len(ids), dtype=torch.long),
        torch.tensor([5, 6]),
        2,
    )
    assert not drawn.valid.any()


def test_sizes_have_to_be_positive():
    with pytest.raises(ValueError, match='SceneMemory: num_scenes, people'):
        SceneMemory(num_scenes=0)
    assert 'num_scenes=10, people_per_scene=3' in repr(memory())


def _of_processes(rank, world_size, folder):
    table = memory()
    frames, scenes, people, ids = step([1, 2, 6], [[0], [1, -1], [4]])
    share = slice(rank, None, world_size)
    table.update(frames[share], scenes[share], people[share], ids[share])
    torch.save(table.state_dict(), folder / f'{world_size}_{rank}.pth')


@pytest.mark.slow
def test_processes_keep_the_scenes_of_all(tmp_path):
    for size in (1, 2):
        run_group(size, _of_processes, tmp_path)
    alone = torch.load(tmp_path / '1_0.pth')
    for rank in range(2):
        found = torch.load(tmp_path / f'2_{rank}.pth')
        for name, value in alone.items():
            assert torch.equal(found[name], value), name
    assert F.normalize(alone['scenes'].float(), dim=1).any(1).sum() == 3
