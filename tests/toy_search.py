"""A model of one layer and a memory, and a Runner that trains it on a CPU."""

import itertools

import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmps.models.memories import IdentityMemory
from mmps.utils.seeding import drawing_from

# mmengine wants another name for every run.
RUNS = itertools.count()


@DATASETS.register_module(force=True)
class NoisyPeople(BaseDataset):
    """Twelve samples of four people, with noise as augmentation."""

    METAINFO = dict(raw_person_ids=(3, 5, 7, 9))

    def load_data_list(self):
        return [
            dict(value=float(i), person=i % 4, width=1 + i % 3, height=2)
            for i in range(12)
        ]

    def __getitem__(self, index):
        with drawing_from(index):
            item = super().__getitem__(index)
            return dict(
                inputs=torch.tensor([item['value'] / 12, torch.rand(())]),
                person=torch.tensor(item['person']),
                data_samples=BaseDataElement(
                    metainfo=dict(img_path=f'frames/{int(item["value"])}.jpg')
                ),
            )


class ToySearch(BaseModel):
    """A layer, a memory and a loss with noise of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 4)
        self.memory = IdentityMemory(num_ids=4, embed_dims=4, queue_size=2)
        self.spoil = {}  # step to the loss term that becomes NaN
        self.steps = 0

    def forward(self, inputs, person, data_samples, mode='tensor'):
        x = F.normalize(self.layer(torch.stack(inputs)), dim=1)
        if mode != 'loss':
            return [dict(x=row) for row in x]
        noise = torch.rand(())
        losses = dict(
            loss_reid=-self.memory(x).cosine.mean() + noise,
            loss_far=self.layer.weight.square().mean(),
        )
        self.memory.update(x, torch.stack(person))
        self.steps += 1
        if self.steps in self.spoil:
            losses[self.spoil[self.steps]] = x.sum() * float('nan')
        return losses


def make_runner(model, work_dir, hooks=(), steps=6, checkpoint=None, **kwargs):
    return Runner(
        model,
        str(work_dir),
        train_dataloader={
            **dict(
                batch_size=2,
                num_workers=0,
                dataset=dict(type='NoisyPeople'),
                sampler=dict(type='mmps.SeededInfiniteSampler'),
            ),
            **kwargs.pop('loader', {}),
        },
        train_cfg=dict(
            by_epoch=False,
            max_iters=steps,
            val_interval=kwargs.pop('val_interval', 10**6),
        ),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
            accumulative_counts=kwargs.pop('accumulative_counts', 1),
        ),
        param_scheduler=[dict(type='LinearLR', by_epoch=False, end=5)],
        default_hooks=dict(
            checkpoint=dict(
                type='mmps.CheckpointHook',
                by_epoch=False,
                interval=2,
                **(checkpoint or {}),
            )
        ),
        custom_hooks=[
            dict(type=f'mmps.{h}') if isinstance(h, str) else h for h in hooks
        ],
        randomness=dict(seed=kwargs.pop('seed', 1)),
        default_scope='mmengine',
        experiment_name=f'toy_{next(RUNS)}',
        log_level='ERROR',
        **kwargs,
    )
