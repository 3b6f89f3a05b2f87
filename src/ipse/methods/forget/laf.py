"""Label-agnostic forgetting."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ipse import randomness
from ipse.losses.forgetting import feature_alignment, likelihood_gap
from ipse.methods.forget import Forgetter, Given, device_of, epoch, features, supervision
from ipse.models import Classifier
from ipse.training import Feed, Player, descend, seeded


class LAF(Forgetter):
    """Makes the features of forgotten samples unlikely under an autoencoder of what they were, without any labels.

    Two variational autoencoders learn the original features, one of all samples, one of those to forget. Then, in turn: the
    features of kept samples stay likely under the first and those of forgotten ones become unlikely under the second
    (`likelihood_gap`), and kept features go back to where they were while forgotten ones leave (`feature_alignment`).

    latent, lr_gap, lr_align and temperature are those of the authors' small network on MNIST; 16, 1e-5, 4e-5 and 20 are for a
    ResNet-18. Their losses are sums over the batch. An epoch ends with the smaller part. The autoencoder's output is linear here,
    because features have no upper bound; the authors' ends in a sigmoid. supervised: with so many labelled samples to keep the
    head is repaired in the end (LAF+R). Normalisations keep the statistics that they have: those of a batch of forgotten samples
    alone would hide how these differ from kept ones.

    Shen et al., ICLR 2024, arXiv:2404.00506
    """

    needs = frozenset({"retain", "teacher"})

    def __init__(
        self,
        *,
        epochs: float = 20,
        lr_gap: float = 5e-5,
        lr_align: float = 1e-4,
        temperature: float = 20.0,
        latent: int = 8,
        autoencoder_epochs: float = 10,
        kl_weight: float = 0.025,
        batch_size: int = 32,
        supervised: int = 0,
        lr_repair: float = 1e-3,
    ):
        self.epochs, self.lr_gap, self.lr_align, self.temperature = epochs, lr_gap, lr_align, temperature
        self.latent, self.autoencoder_epochs, self.kl_weight = latent, autoencoder_epochs, kl_weight
        self.batch_size, self.supervised, self.lr_repair = batch_size, supervised, lr_repair

    def unlearn(self, model: Classifier, original: Classifier, given: Given) -> Classifier:
        assert given.retain is not None
        few = given.feed(given.forget, self.batch_size, "forget", device_of(model))
        many = given.feed(given.retain, self.batch_size, "retain", device_of(model))
        of_all = self._autoencoder(original, [many, few], given, "all")
        of_few = self._autoencoder(original, [few], given, "forgotten")

        def both(step: int) -> tuple[Tensor, Tensor]:
            return many.batch(step).views[0].x, few.batch(step).views[0].x

        def gap(step: int) -> Tensor:
            model.eval()  # kept and forgotten samples must be seen alike, and as they are seen in the end
            kept, forgotten = (features(model, x) for x in both(step))
            keys = (randomness.key(given.seed, name, step) for name in ("kept", "forgotten"))
            again = [vae(e, key)[0] for vae, e, key in zip((of_all, of_few), (kept, forgotten), keys, strict=True)]
            return likelihood_gap(kept, again[0], forgotten, again[1])

        def align(step: int) -> Tensor:
            model.eval()
            seen = both(step)
            now = [features(model, x) for x in seen]
            with torch.no_grad():
                before = [original.features(x) for x in seen]
            return feature_alignment(now[0], before[0], now[1], before[1], self.temperature)

        players = (
            Player(model.encoder.parameters(), gap, self.lr_gap, name="gap"),
            Player(model.encoder.parameters(), align, self.lr_align, name="align"),
        )
        each = min(epoch(len(feed.samples), feed.batch_size) for feed in (few, many))
        descend(model, *players, steps=max(1, round(self.epochs * each)), seed=given.seed, observer=given.observer)
        if self.supervised:
            self._repair(model, given)
        return model

    def _autoencoder(self, original: Classifier, feeds: list[Feed], given: Given, name: str) -> Autoencoder:
        """An autoencoder of the original features of the samples."""
        with torch.no_grad():
            e = torch.cat([original.features(x).float() for feed in feeds for _, x in feed.everything()])
        with seeded(randomness.key(given.seed, "autoencoder", name)):
            vae = Autoencoder(e.shape[1], self.latent).to(e.device)
        size = min(self.batch_size, len(e))

        def loss(step: int) -> Tensor:
            position = torch.arange(step * size, (step + 1) * size)
            key = randomness.key(given.seed, name, int(position[0]) // len(e))
            x = e[randomness.shuffled(position % len(e), len(e), key).to(e.device)]
            again, mean, deviation = vae(x, randomness.key(given.seed, name, "noise", step))
            total: Tensor = (again - x).square().sum() + self.kl_weight * prior(mean, deviation)
            return total / len(x)

        steps = max(1, round(self.autoencoder_epochs * epoch(len(e), size)))
        player = Player(vae.parameters(), loss, 1e-3, name=f"autoencoder of {name}")
        descend(vae, player, steps=steps, seed=given.seed, observer=given.observer)
        return vae.requires_grad_(False)

    def _repair(self, model: Classifier, given: Given) -> None:
        """Teaches the head alone, from a few labelled samples to keep."""
        assert given.retain is not None
        labelled = torch.from_numpy(given.retain.y >= 0).nonzero()[:, 0]
        order = randomness.shuffled(torch.arange(len(labelled)), len(labelled), randomness.key(given.seed, "repair"))
        some = given.retain.subset(labelled[order[: self.supervised]])
        feed = given.feed(some, self.batch_size, "repair", device_of(model))

        def loss(step: int) -> Tensor:
            model.eval()
            batch = feed.batch(step)
            with torch.no_grad():
                h = model.features(batch.views[0].x)
            return supervision(model, model.head(h), batch.y).mean()

        player = Player(model.head.parameters(), loss, self.lr_repair, name="repair")
        descend(model, player, steps=10 * epoch(len(some), self.batch_size), seed=given.seed, observer=given.observer)


class Autoencoder(nn.Module):
    """A variational autoencoder of features: (B, d) and the key of its noise to what it makes of them, mean and deviation."""

    def __init__(self, dim: int, latent: int):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(dim, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(32, latent), nn.Linear(32, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 32), nn.ReLU(), nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, dim))

    def forward(self, e: Tensor, key: int) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(e.float())
        mean, deviation = self.mean(h), (0.5 * self.log_variance(h)).exp()
        noise = randomness.normal(key, torch.arange(len(e), device=e.device), mean.shape[1])
        return self.decoder(mean + deviation * noise), mean, deviation


def prior(mean: Tensor, deviation: Tensor) -> Tensor:
    """KL of normal distributions from the standard one, summed.

    >>> prior(torch.ones(1, 2), torch.ones(1, 2)).item()
    1.0
    """
    return -0.5 * ((deviation.square() + 1e-8).log() + 1 - mean.square() - deviation.square()).sum()
