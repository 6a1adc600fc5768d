"""Tests of ResolvePersonIdsHook in real runs of a toy model."""

import itertools
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import SyncBuffersHook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS
from mmengine.runner import Runner

from mmps.engine.hooks import ResolvePersonIdsHook, resolve_person_ids_hook
from mmps.models.memories import IdentityMemory
from mmps.registry import HOOKS

# mmengine wants another name for every run.
RUNS = itertools.count()


@DATASETS.register_module(force=True)
class ToyPeople(BaseDataset):
    """Eight samples; the person is the index modulo the number of ids."""

    def __init__(self, raw_person_ids=None, **kwargs):
        self.raw_person_ids = raw_person_ids
        metainfo = (
            {}
            if raw_person_ids is None
            else dict(raw_person_ids=raw_person_ids)
        )
        super().__init__(metainfo=metainfo, serialize_data=False, **kwargs)

    def load_data_list(self):
        count = len(self.raw_person_ids or [0])
        return [dict(value=float(i), person=i % count) for i in range(8)]


class ToySearch(BaseModel):
    """One layer and a memory, in training also a loss."""

    def __init__(self, **memory):
        super().__init__()
        self.layer = torch.nn.Linear(1, 4)
        self.memory = IdentityMemory(embed_dims=4, queue_size=2, **memory)

    def forward(self, value, person, sample_idx, mode='tensor'):
        x = F.normalize(self.layer(value.float()[:, None]), dim=1)
        if mode != 'loss':
            return [dict(x=row) for row in x]
        loss = -self.memory(x).cosine[:, 0].mean()
        self.memory.update(x, person)
        return dict(loss=loss)


class ToyMetric(BaseMetric):
    """Counts the results."""

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(count=len(results))


def loader(**dataset):
    """A data loader's config."""
    return dict(
        batch_size=4,
        num_workers=0,
        dataset=dataset,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )


def runner(work_dir, model, train=None, **kwargs):
    """A Runner with the hook; `train` is the training data set."""
    if train is not None:
        kwargs.update(
            train_dataloader=loader(**train),
            train_cfg=dict(by_epoch=True, max_epochs=kwargs.pop('epochs', 1)),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        )
    kwargs['custom_hooks'] = [
        *kwargs.pop('custom_hooks', []),
        dict(type='mmps.ResolvePersonIdsHook'),
    ]
    return Runner(
        model,
        str(work_dir),
        default_scope='mmengine',
        experiment_name=f'resolve_{next(RUNS)}',
        log_level='ERROR',
        **kwargs,
    )


def evaluation():
    """Options of a run that only tests; its data set knows no ids."""
    return dict(
        test_dataloader=loader(type='ToyPeople'),
        test_cfg=dict(),
        test_evaluator=ToyMetric(),
    )


PEOPLE = dict(type='ToyPeople', raw_person_ids=(11, 5, 7))


@pytest.mark.parametrize(
    'train',
    [
        PEOPLE,
        dict(type='ConcatDataset', datasets=[PEOPLE, PEOPLE]),
        dict(type='RepeatDataset', dataset=PEOPLE, times=2),
    ],
)
def test_training_resolves_the_memory(tmp_path, train):
    model = ToySearch()
    runner(tmp_path, model, train).train()
    assert model.memory.raw_person_ids.tolist() == [11, 5, 7]
    assert model.memory.prototypes_filled.all()


def toy_search(**memory):
    """A model that starts the same every time."""
    torch.manual_seed(0)
    return ToySearch(**memory)


def assert_same(one, other):
    """Bit-equal states."""
    one, other = one.state_dict(), other.state_dict()
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_checkpoint_tests_and_resumes_bit_by_bit(tmp_path):
    first = toy_search()
    runner(tmp_path, first, PEOPLE).train()
    stored = str(tmp_path / 'epoch_1.pth')
    # Test: the checkpoint gives the identities.
    tested = ToySearch()
    run = runner(tmp_path, tested, load_from=stored, **evaluation())
    assert run.test() == dict(count=8)
    assert_same(tested, first)
    # One epoch and one more are two.
    resumed = ToySearch()
    runner(
        tmp_path, resumed, PEOPLE, epochs=2, load_from=stored, resume=True
    ).train()
    whole = toy_search()
    runner(tmp_path / 'whole', whole, PEOPLE, epochs=2).train()
    assert_same(resumed, whole)
    assert not torch.equal(first.memory.prototypes, whole.memory.prototypes)


def test_test_run_builds_no_training_data(tmp_path):
    train = dict(
        type='ToyPeople', raw_person_ids=(1, 2), ann_file='missing.json'
    )
    stored = ToySearch()
    stored.memory.resolve((4, 6))
    torch.save(dict(state_dict=stored.state_dict()), tmp_path / 'model.pth')
    model = ToySearch()
    run = runner(
        tmp_path,
        model,
        train,
        load_from=str(tmp_path / 'model.pth'),
        **evaluation(),
    )
    run.test()
    assert isinstance(run._train_loop, dict)
    assert model.memory.raw_person_ids.tolist() == [4, 6]


def test_checkpoint_of_other_people_is_refused(tmp_path):
    stored = ToySearch()
    stored.memory.resolve((11, 5))
    torch.save(dict(state_dict=stored.state_dict()), tmp_path / 'model.pth')
    path = str(tmp_path / 'model.pth')
    with pytest.raises(ValueError, match='3 identities, the checkpoint 2'):
        runner(tmp_path, ToySearch(), PEOPLE, load_from=path).train()
    model = ToySearch(on_mismatch='reset')
    runner(tmp_path, model, PEOPLE, load_from=path).train()
    assert model.memory.raw_person_ids.tolist() == [11, 5, 7]


def test_a_fixed_number_must_fit_the_data(tmp_path):
    with pytest.raises(ValueError, match='num_ids=2 .* 3 labelled'):
        runner(tmp_path, ToySearch(num_ids=2), PEOPLE).train()


def test_ema_copies_the_resolved_memory(tmp_path):
    model = ToySearch()
    run = runner(tmp_path, model, PEOPLE, custom_hooks=[dict(type='EMAHook')])
    run.train()
    ema = next(h for h in run.hooks if type(h).__name__ == 'EMAHook')
    copied = ema.ema_model.module.memory
    assert copied.raw_person_ids.tolist() == [11, 5, 7]


def test_data_set_without_the_table(tmp_path):
    train = dict(type='ToyPeople')
    with pytest.raises(
        ValueError, match=r"ToyPeople has no metainfo\['raw_person_ids'\]"
    ):
        runner(tmp_path, ToySearch(), train).train()


def test_model_without_memory_needs_no_table(tmp_path):
    class Plain(ToySearch):
        def __init__(self):
            super().__init__()
            del self.memory

        def forward(self, value, person, sample_idx, mode='tensor'):
            return dict(loss=self.layer(value.float()[:, None]).mean())

    run = runner(tmp_path, Plain(), dict(type='ToyPeople'))
    run.train()
    assert run.iter > 0


def test_model_in_a_wrapper(tmp_path):
    model = ToySearch()
    run = runner(tmp_path, model, PEOPLE)
    run._train_loop = run.build_train_loop(run._train_loop)
    run.model = torch.nn.DataParallel(model)
    with mock.patch.object(
        resolve_person_ids_hook, 'is_model_wrapper', return_value=True
    ):
        ResolvePersonIdsHook().before_run(run)
    assert model.memory.num_ids == 3


def test_averaging_of_buffers_is_refused(tmp_path):
    run = runner(tmp_path, ToySearch(), PEOPLE)
    run.register_hook(SyncBuffersHook())
    with (
        mock.patch.object(
            resolve_person_ids_hook, 'is_distributed', return_value=True
        ),
        pytest.raises(ValueError, match='remove SyncBuffersHook'),
    ):
        run.train()
    # In one process it does nothing.
    run = runner(tmp_path, ToySearch(), PEOPLE)
    run.register_hook(SyncBuffersHook())
    run.train()


def test_builds_from_a_config_and_runs_early():
    hook = HOOKS.build(dict(type='mmps.ResolvePersonIdsHook'))
    assert isinstance(hook, ResolvePersonIdsHook)
    assert hook.priority == 'VERY_HIGH'
