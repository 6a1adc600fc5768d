"""A classifier of identities beside the memory."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import samples_per_process
from .batch_norm import batch_norm


@MODELS.register_module()
class IdentityClassifier(nn.Module):
    """A learned weight vector per labelled person, and its cross-entropy.

    A batch norm without a shift stands between the embedding and the linear
    layer ("BNNeck"). Unlike the memory's prototypes the weights learn by
    gradients. Only training needs it.

    Source: Luo et al., "Bag of Tricks and A Strong Baseline for Deep Person
    Re-identification", CVPR workshops 2019, section 3.5; in person search Yu
    et al., "Cascade Transformers for End-to-End Person Search" (COAT), CVPR
    2022.

    Args:
        max_ids (int): Rows of weights, at least as many as the training data
            has labelled people. The optimizer takes them before the data is
            read; those beyond the people are not used.
        embed_dims (int): Size of the embedding. Defaults to 256.
        loss_weight (float): Factor of the loss. Defaults to 1.0.
    """

    def __init__(
        self, max_ids: int, embed_dims: int = 256, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.max_ids = max_ids
        self.loss_weight = loss_weight
        self.norm = nn.BatchNorm1d(embed_dims)
        self.norm.bias.requires_grad_(False)
        self.fc = nn.Linear(embed_dims, max_ids, bias=False)
        nn.init.normal_(self.fc.weight, std=0.001)

    def forward(self, x: Tensor, num_ids: int) -> Tensor:
        """(N, D) embeddings to (N, L) logits, fp32 also under autocast."""
        with torch.autocast(x.device.type, enabled=False):
            x = batch_norm(self.norm, x.to(self.fc.weight.dtype))
            return F.linear(x, self.fc.weight[:num_ids])

    def loss(self, x: Tensor, person_ids: Tensor, num_ids: int) -> Tensor:
        """Cross-entropy of the true person, the mean over labelled ones.

        Args:
            x: (N, D) unit embeddings of people; unlabelled ones take part in
                the norm.
            person_ids: (N,) contiguous ids, -1 for unlabelled.
            num_ids: L, labelled people of the data.

        Returns:
            () loss; a zero in the graph without a labelled person.

        Raises:
            ValueError: There are more people than rows.
        """
        if num_ids > self.max_ids:
            raise ValueError(
                f'IdentityClassifier: max_ids={self.max_ids}, but the data '
                f'has {num_ids} labelled people; give reid_head.id_classifier '
                'as many or more'
            )
        total = F.cross_entropy(
            self(x, num_ids), person_ids, ignore_index=-1, reduction='sum'
        )
        labelled = (person_ids >= 0).sum()
        return self.loss_weight * total / samples_per_process(labelled, x)
