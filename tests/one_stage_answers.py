"""One-stage models against what their published code answered.

In double precision, from the file of a picture on: made-up weights amplify
rounding.
"""

import json
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmps.apis import PersonModel
from mmps.checkpoints.published import convert
from mmps.datasets.transforms import LoadFrame
from mmps.utils.config import load_config

from published_weights import DATA, published_weights, read_oracle

# Pixels, scores, 1 - cosine.
TOLERANCES = dict(
    inputs=1e-4, bboxes=1e-3, scores=1e-6, embeddings=1e-6, queries=1e-6
)


class OneStageAnswers:
    """A published model in mmps, and the stored answers of its own code.

    Args:
        name: Of the stored answers.

    Attributes:
        model: The detector, in double precision.
    """

    def __init__(self, name: str) -> None:
        self.answers: Mapping[str, np.ndarray] = read_oracle(name)
        self.meta = json.loads(str(self.answers['meta']))
        imported = convert(published_weights(self.answers))
        assert imported.dataset == self.meta['dataset']
        config = load_config(imported.config)
        (resize,) = (
            step
            for step in config.test_dataloader.dataset.pipeline
            if step.type == 'mmdet.Resize'
        )
        assert tuple(resize.scale) == (1500, 900)
        resize.scale = tuple(self.meta['scale'])
        self.person_model = PersonModel(config, device='cpu', det_thr=0)
        self.model = self.person_model.model
        self.model.load_state_dict(imported.state)
        self.model.double()

    @torch.inference_mode()
    def differences(self, picture: str) -> dict[str, float]:
        """Largest difference of every kind; see :data:`TOLERANCES`."""

        def stored(key: str) -> np.ndarray:
            return self.answers[f'{picture}/{key}']

        frame = LoadFrame().transform(dict(img_path=str(DATA / picture)))
        prepared = self.person_model.prepare(
            frame['img'], self.meta['queries'][picture]
        )
        data = self.model.data_preprocessor(pseudo_collate([prepared]))
        sample = data['data_samples'][0]
        self.model.predict(data['inputs'].double(), [sample])
        found = sample.pred_instances
        assert len(found) == len(stored('scores')) >= 10
        inputs = data['inputs'][0, :, ::8, ::8].numpy()
        return dict(
            inputs=np.abs(inputs - stored('input_sample')).max(),
            bboxes=np.abs(found.bboxes.numpy() - stored('bboxes')).max(),
            scores=np.abs(found.scores.numpy() - stored('scores')).max(),
            embeddings=_distance(found.embeddings, stored('embeddings')),
            queries=_distance(
                sample.query_instances.embeddings, stored('query_embeddings')
            ),
        )


def _distance(one: Tensor, two: np.ndarray) -> float:
    """Largest of 1 - cosine; stored are halves."""
    two = F.normalize(torch.from_numpy(two).double(), dim=1)
    return (1 - (one.double() * two).sum(1)).max().item()


def too_large(found: Mapping[str, float], factor: float = 1) -> set[str]:
    """Kinds whose difference is above so many tolerances."""
    assert found.keys() == TOLERANCES.keys()
    return {k for k, v in found.items() if v > factor * TOLERANCES[k]}
