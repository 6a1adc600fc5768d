"""Tests of the plan of people and frames."""

from collections import Counter, defaultdict

import pytest

from mmps.scenes import ScenesConfig, plan_frames
from mmps.scenes.people import sample_person


@pytest.fixture(scope='module')
def plans():
    return plan_frames(ScenesConfig())


def test_counts_and_names(plans):
    splits = Counter(plan.split for plan in plans)
    assert splits == {'train': 500, 'test': 250}
    assert len({plan.name for plan in plans}) == 750
    for plan in plans:
        number = plan.name.removeprefix(f'c{plan.camera}s1_')
        assert len(number) == 6
        assert number.isdigit()


def test_nobody_is_in_both_splits(plans):
    for plan in plans:
        groups = {group for group, _ in plan.people}
        assert groups <= {plan.split, 'bystander'}
    bystanders = defaultdict(set)
    for plan in plans:
        bystanders[plan.split] |= {
            index for group, index in plan.people if group == 'bystander'
        }
    assert bystanders['train'].isdisjoint(bystanders['test'])


def test_everybody_passes_several_cameras(plans):
    for split, ids in (('train', 100), ('test', 40)):
        cameras = defaultdict(set)
        for plan in plans:
            assert len(set(plan.people)) == len(plan.people)
            for group, index in plan.people:
                if group == split:
                    cameras[index].add(plan.camera)
        assert sorted(cameras) == list(range(ids))
        assert min(map(len, cameras.values())) >= 2


@pytest.mark.parametrize('rate', [0.0, 0.18, 0.5])
def test_unlabelled_rate(rate):
    config = ScenesConfig(unlabelled_rate=rate, test_ids=20, train_ids=50)
    people = [p for plan in plan_frames(config) for p in plan.people]
    share = sum(group == 'bystander' for group, _ in people) / len(people)
    assert share == pytest.approx(rate, abs=0.03)


def test_cameras_of_a_split():
    config = ScenesConfig(
        cameras=5, train_cameras=(1, 2, 4), test_cameras=(3, 5)
    )
    seen = defaultdict(set)
    for plan in plan_frames(config):
        seen[plan.split].add(plan.camera)
    assert seen == {'train': {1, 2, 4}, 'test': {3, 5}}


def test_new_test_cameras_leave_training_alone():
    kept = plan_frames(ScenesConfig())[:500]
    config = ScenesConfig(
        cameras=8, train_cameras=(1, 2, 3, 4, 5, 6), test_cameras=(7, 8)
    )
    assert plan_frames(config)[:500] == kept


def test_only_cameras_where_nobody_with_an_id_passes():
    config = ScenesConfig(
        train_frames=30, train_ids=1, test_frames=40, test_ids=1, people=1.0
    )
    assert all(plan.people for plan in plan_frames(config))


@pytest.mark.parametrize('rate', [0.0, 0.45, 1.0])
def test_accessory_rate(rate):
    config = ScenesConfig(accessory_rate=rate)
    people = [sample_person(config, 'train', i) for i in range(150)]
    share = sum(bool(person.things) for person in people) / 150
    assert share == pytest.approx(rate, abs=0.1)


def test_people_differ_though_some_share_colours():
    config = ScenesConfig()
    people = [sample_person(config, 'test', i) for i in range(120)]
    assert len(set(people)) == 120
    outfits = Counter((p.upper_colours[0], p.lower_colours[0]) for p in people)
    shared = [outfit for outfit, count in outfits.items() if count > 1]
    assert len(shared) >= 3
    for outfit in shared:
        twins = [
            p
            for p in people
            if (p.upper_colours[0], p.lower_colours[0]) == outfit
        ]
        looks = {(p.upper, p.upper_pattern, p.lower, p.hair_style, p.things)
                 for p in twins}  # fmt: skip
        assert len(looks) == len(twins)
