"""Tests of the classifiers of person and background."""

import torch

from mmps.models.layers import (
    LinearClassifier,
    MemoryClassifier,
    NormClassifier,
    PixelNormClassifier,
    ReIDFeatures,
)
from mmps.models.memories import IdentityMemory


def reid(mean, attention=None, readout=None):
    unit = torch.nn.functional.normalize(mean, dim=1)
    return ReIDFeatures(mean, unit, unit, None, attention, None, readout)


def test_linear():
    classifier = LinearClassifier(4)
    x = torch.randn(3, 4)
    torch.testing.assert_close(classifier(x, None), x @ classifier.fc.weight.T)


def test_one_logit_is_a_sigmoid_with_binary_cross_entropy():
    classifier = LinearClassifier(4, one_logit=True).double()
    x = torch.randn(6, 4).double().requires_grad_()
    logits = classifier(x, None)
    assert logits.shape == (6, 2)
    person = x @ classifier.fc.weight[0]
    torch.testing.assert_close(logits.softmax(1)[:, 0], person.sigmoid())
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    losses = [
        torch.nn.functional.cross_entropy(logits, labels),
        torch.nn.functional.binary_cross_entropy_with_logits(
            person, (1 - labels).double()
        ),
    ]
    torch.testing.assert_close(*losses)
    grads = [
        torch.autograd.grad(loss, (x, classifier.fc.weight), retain_graph=True)
        for loss in losses
    ]
    torch.testing.assert_close(*grads)


def test_norm_is_a_sigmoid_of_the_scaled_length():
    classifier = NormClassifier()
    mean = torch.randn(6, 5)
    with torch.no_grad():
        classifier.norm.weight.fill_(2.0)
        classifier.norm.bias.fill_(-0.5)
    probability = classifier(None, reid(mean)).softmax(1)[:, 0]
    length = mean.norm(dim=1)
    scaled = (length - length.mean()) / (
        length.var(correction=0) + classifier.norm.eps
    ).sqrt()
    torch.testing.assert_close(probability, (2 * scaled - 0.5).sigmoid())


def test_norm_ignores_the_sampling_noise():
    classifier = NormClassifier().eval()
    features = reid(torch.randn(4, 5))
    noisy = features._replace(sampled=torch.randn(4, 5))
    assert torch.equal(classifier(None, features), classifier(None, noisy))


def test_norm_of_one_roi():
    classifier = NormClassifier()
    assert classifier(None, reid(torch.randn(1, 5))).shape == (1, 2)
    assert classifier.norm.num_batches_tracked == 0


def test_pixels_are_averaged():
    attention = torch.randn(3, 4, 2)
    got = PixelNormClassifier()(None, reid(torch.randn(3, 5), attention))
    torch.testing.assert_close(
        got.softmax(1)[:, 0], attention.sigmoid().mean((1, 2))
    )


def test_memory_sums_over_people_and_background():
    memory = IdentityMemory(3, 4, queue_size=2, background_size=2)
    x = torch.nn.functional.normalize(torch.randn(5, 4), dim=1)
    memory.update(x, torch.tensor([0, 1, -1, 2, -1]), -x[:2])
    readout = memory(x)
    got = MemoryClassifier()(None, reid(x, readout=readout)).softmax(1)
    everything = torch.cat((readout.background, readout.cosine), 1) * 30
    want = everything.softmax(1)[:, 2:].sum(1)
    torch.testing.assert_close(got[:, 0], want)
