"""Losses of two players: a discriminator that tells real from made, and a generator that it should not tell apart.

`real`, `fake`: what the discriminator says, of any shape; means over all of it. Whoever calls detaches the other player's part.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ipse.losses.precision import full_precision


@full_precision
def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Real should be 1, made 0.

        L = E[(D(real) - 1)^2] + E[D(fake)^2]

    Mao et al., ICCV 2017, arXiv:1611.04076

    >>> import torch
    >>> least_squares_discriminator(torch.ones(3), torch.zeros(3))
    tensor(0.)
    """
    return (real - 1).square().mean() + fake.square().mean()


@full_precision
def least_squares_generator(fake: Tensor) -> Tensor:
    """What is made should be 1 to the discriminator.

        L = E[(D(fake) - 1)^2]

    Mao et al., ICCV 2017, arXiv:1611.04076

    >>> import torch
    >>> least_squares_generator(torch.zeros(3))
    tensor(1.)
    """
    return (fake - 1).square().mean()


@full_precision
def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Real should be 1 above what is made on average, and made should not stand out from real.

        L = E[(D(real) - E D(fake) - 1)^2] + E[(D(fake) - E D(real))^2]

    Jolicoeur-Martineau, ICLR 2019, arXiv:1807.00734, as Jiang et al., arXiv:1906.06972, square it

    >>> import torch
    >>> relativistic_discriminator(torch.full((4,), 5.0), torch.full((4,), 5.0))
    tensor(1.)
    """
    return (real - fake.mean() - 1).square().mean() + (fake - real.mean()).square().mean()


@full_precision
def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The same with the two exchanged: what is made should be 1 above real.

        L = E[(D(fake) - E D(real) - 1)^2] + E[(D(real) - E D(fake))^2]

    >>> import torch
    >>> relativistic_generator(torch.zeros(4), torch.ones(4))
    tensor(1.)
    """
    return relativistic_discriminator(fake, real)


@full_precision
def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of logits: real is 1, made 0.

        L = -E log sigma(D(real)) - E log(1 - sigma(D(fake)))

    Goodfellow et al., NeurIPS 2014, arXiv:1406.2661

    >>> import torch
    >>> logistic_discriminator(torch.zeros(2), torch.zeros(2))  # 2 log 2
    tensor(1.3863)
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


@full_precision
def logistic_generator(fake: Tensor) -> Tensor:
    """What is made should be taken for real.

        L = -E log sigma(D(fake))

    Goodfellow et al., NeurIPS 2014, arXiv:1406.2661

    >>> import torch
    >>> logistic_generator(torch.zeros(2))
    tensor(0.6931)
    """
    return F.softplus(-fake).mean()
