"""The interpolatory autoencoder: spectra that deform, as mixtures of the codes of a few anchors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from spectraloom._lazy import optional
from spectraloom.errors import FitError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = optional("torch", extra="deep")

_RIDGE = 1e-6
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class InterpolatoryLayers:
    """Sizes of an interpolatory autoencoder, one entry for each level of its encoder.

    Parameters
    ----------
    filters : tuple of int
        Number of features that a level gives.
    kernels : tuple of int
        Channels that one feature sees.
    strides : tuple of int
        How many channels of a level become one of the next.
    shortcuts : tuple of float
        What the lateral codes weigh in the decoder, the deepest but one first; also the weights
        of the levels in the loss and in the mean of the barycentric weights, where the deepest
        level itself counts one.

    Raises
    ------
    FitError
        If the sizes do not fit together.
    """

    filters: tuple[int, ...] = (12, 12, 12, 16, 16, 16)
    kernels: tuple[int, ...] = (4, 4, 6, 6, 6, 8)
    strides: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    shortcuts: tuple[float, ...] = (0.5, 0.5, 0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        n = len(self.filters)
        if n < 2 or len(self.kernels) != n or len(self.strides) != n:
            raise FitError(
                "an interpolatory autoencoder needs at least two levels, each with filters, "
                f"kernel and stride; got {self.filters}, {self.kernels}, {self.strides}"
            )
        if min(*self.filters, *self.kernels, *self.strides) < 1:
            raise FitError("filters, kernels and strides are at least one")
        if len(self.shortcuts) != n - 1 or min(self.shortcuts) < 0:
            raise FitError(
                f"{n} levels need {n - 1} shortcut weights that are zero or more, "
                f"got {self.shortcuts}"
            )

    @property
    def least_channels(self) -> int:
        """Fewest channels that spectra may have."""
        length = 1
        for kernel, stride in zip(self.kernels[::-1], self.strides[::-1], strict=True):
            length = (length - 1) * stride + kernel
        return length

    def lengths(self, n_channels: int) -> tuple[int, ...]:
        """Number of channels at each level, that of the spectra first.

        Raises
        ------
        FitError
            If the spectra are too short for the kernels.
        """
        if n_channels < self.least_channels:
            raise FitError(
                f"the kernels {self.kernels} with the strides {self.strides} need spectra of at "
                f"least {self.least_channels} channels, got {n_channels}: take fewer levels"
            )
        lengths = [n_channels]
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            lengths.append((lengths[-1] - kernel) // stride + 1)
        return tuple(lengths)


def project_simplex(weights: Tensor) -> Tensor:
    """Nearest point, by Euclidean distance, of the simplex: weights >= 0 that sum to one.

    Parameters
    ----------
    weights : Tensor, shape (n, d)

    Returns
    -------
    Tensor, shape (n, d)

    Notes
    -----
    The exact projection by sorting (Held, Wolfe and Crowder, 1974, doi:10.1007/BF01580223).
    """
    d = weights.shape[1]
    ordered = torch.sort(weights, dim=1, descending=True).values
    excess = torch.cumsum(ordered, dim=1) - 1.0
    count = torch.arange(1, d + 1, dtype=weights.dtype, device=weights.device)
    # The support is the longest head whose smallest entry stays above the threshold.
    size = (ordered * count > excess).sum(dim=1, keepdim=True).clamp(min=1)
    threshold = excess.gather(1, size - 1) / size
    return (weights - threshold).clamp(min=0.0)


def amplitudes(spectra: Tensor) -> Tensor:
    """Square roots of spectra, scaled to a mean square of one; (n, n_sources, n_channels)."""
    return (spectra / spectra.mean(dim=2, keepdim=True)).sqrt()


def log_mse(estimate: Tensor, truth: Tensor) -> Tensor:
    """Mean over features of the logarithm of the mean square error.

    Parameters
    ----------
    estimate, truth : Tensor, shape (n, n_features, n_channels)

    Returns
    -------
    Tensor, a number
    """
    square = (estimate - truth).square().mean(dim=(0, 2))
    return torch.log(square + _TINY).mean()


class InterpolatoryAutoencoder(torch.nn.Module):
    """Encode spectra as mixtures of anchors, and decode any mixture of anchors to spectra.

    A level of the encoder is a convolution, a normalisation by the mean and spread of the anchors
    at that level, and an ELU; a second convolution gives the lateral code of a level. The
    barycentric weights of a spectrum are those of the least-squares mixture of the codes of the
    anchors, averaged over the levels and projected onto the simplex. The decoder turns the
    mixture of the anchors' codes back: transposed convolutions, linear interpolation in place of
    the strides, and the lateral codes of the shallower levels as shortcuts.

    The network sees *amplitudes*, the square roots of spectra. The noise of counts is even there,
    so an error weighs in every channel as much as it does in a Poisson likelihood, and what is
    decoded is zero or more.

    Parameters
    ----------
    anchors : Tensor, shape (n_anchors, n_sources, n_channels)
        Spectra of unit area at `n_anchors` >= 2 places of the deformation. The sources share
        one set of weights.
    layers : InterpolatoryLayers
        Sizes.

    Attributes
    ----------
    anchors : Tensor
        Amplitudes of the anchors, of mean square one.

    Notes
    -----
    J. Bobin, R. Carloni Gertosio, C. Bobin, C. Thiam, "Non-linear interpolation learning for
    example-based inverse problem regularization", 2023. Unlike there, the network sees amplitudes,
    and the normalisation always takes the statistics of the anchors, so that a spectrum has one
    code, whichever others are in its batch.
    """

    anchors: Tensor

    def __init__(self, anchors: Tensor, layers: InterpolatoryLayers) -> None:
        super().__init__()
        if anchors.ndim != 3 or anchors.shape[0] < 2:
            raise FitError(
                "anchors have shape (n_anchors, n_sources, n_channels) with at least two "
                f"anchors, got {tuple(anchors.shape)}"
            )
        self.layers = layers
        self.lengths = layers.lengths(anchors.shape[2])
        if not bool((anchors >= 0).all() and (anchors.sum(dim=2) > 0).all()):
            raise FitError("anchors are zero or more, and none is empty")
        self.register_buffer("anchors", amplitudes(anchors.detach()))
        wide = (anchors.shape[1], *layers.filters)
        sizes = list(zip(pairwise(wide), layers.kernels, layers.strides, strict=True))
        # One convolution gives the code and the lateral code of a level: half the calls.
        self.encode = torch.nn.ModuleList(
            _Level(n_in, n_out if number == len(sizes) else 2 * n_out, k, s)
            for number, ((n_in, n_out), k, s) in enumerate(sizes, 1)
        )
        self.decode = torch.nn.ModuleList(
            torch.nn.ConvTranspose1d(io[1], io[0], k) for io, k, _ in sizes
        )
        self.shortcut = torch.nn.ModuleList(
            torch.nn.ConvTranspose1d(n, n, k)
            for n, k in zip(layers.filters[:-1], layers.kernels[:-1], strict=True)
        )

    # -- encoding ------------------------------------------------------------------------------

    def codes(self, given: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Codes of amplitudes and of the anchors at every level, the deepest first.

        Parameters
        ----------
        given : Tensor, shape (n, n_sources, n_channels)
            Amplitudes.

        Returns
        -------
        codes, anchor_codes : lists of Tensor, shapes (n or n_anchors, n_features, length)
            One per level: the deepest of the encoder, then the lateral ones.
        """
        d = len(self.anchors)
        state = torch.cat([self.anchors, given])
        levels = []
        for encode, size in zip(self.encode, self.layers.filters, strict=True):
            # Beside its code, which goes on, every level but the deepest gives a lateral one.
            *lateral, state = torch.split(encode(state, d), size, dim=1)
            levels += lateral
        levels.append(state)
        levels.reverse()
        return [level[d:] for level in levels], [level[:d] for level in levels]

    def weights(self, codes: Sequence[Tensor], anchor_codes: Sequence[Tensor]) -> Tensor:
        """Barycentric weights of codes, on the simplex, shape (n, n_anchors)."""
        shares = (1.0, *self.layers.shortcuts)
        total = codes[0].new_zeros(len(codes[0]), len(self.anchors))
        for share, code, anchors in zip(shares, codes, anchor_codes, strict=True):
            flat, base = code.flatten(1), anchors.flatten(1)
            gram = base @ base.T
            ridge = _RIDGE * torch.linalg.matrix_norm(gram.detach(), 2)
            gram = gram + ridge * torch.eye(len(gram), dtype=gram.dtype)
            total = total + share * torch.linalg.solve(gram, base @ flat.T).T
        return project_simplex(total / sum(shares))

    # -- decoding ------------------------------------------------------------------------------

    def barycentres(self, weights: Tensor, anchor_codes: Sequence[Tensor]) -> list[Tensor]:
        """Mixtures of the anchors' codes, one for each level, the deepest first."""
        n = len(weights)
        return [(weights @ code.flatten(1)).view(n, *code.shape[1:]) for code in anchor_codes]

    def decoded(self, barycentres: Sequence[Tensor]) -> Tensor:
        """Amplitudes of mixed codes, shape (n, n_sources, n_channels)."""
        elu = torch.nn.functional.elu
        state, laterals = barycentres[0], barycentres[1:]
        for step, level in enumerate(reversed(range(len(self.decode)))):
            state = _resized(elu(self.decode[level](state)), self.lengths[level])
            if level > 0:
                shortcut = elu(self.shortcut[level - 1](laterals[step]))
                # A transposed convolution reaches beyond both ends; its middle is kept.
                start = (self.layers.kernels[level - 1] - 1) // 2
                shortcut = shortcut[..., start : start + self.lengths[level]]
                state = state + self.layers.shortcuts[step] * shortcut
        return state

    def at(self, weights: Tensor) -> Tensor:
        """Spectra at barycentric weights: zero or more, every source of unit area.

        Parameters
        ----------
        weights : Tensor, shape (n, n_anchors)

        Returns
        -------
        Tensor, shape (n, n_sources, n_channels)
        """
        _, anchor_codes = self.codes(self.anchors[:0])
        decoded = self.decoded(self.barycentres(weights, anchor_codes))
        spectra = decoded.clamp(min=0.0).square()
        return spectra / spectra.sum(dim=2, keepdim=True).clamp(min=_TINY)

    def project(self, spectra: Tensor) -> Tensor:
        """Barycentric weights of spectra of unit area, shape (n, n_anchors)."""
        return self.weights(*self.codes(amplitudes(spectra)))

    def loss(self, given: Tensor, target: Tensor, code_weight: float) -> Tensor:
        """Logarithmic error of the decoded amplitudes, and of their mixed codes.

        Parameters
        ----------
        given, target : Tensor, shape (n, n_sources, n_channels)
            Amplitudes that are encoded (with noise added, perhaps), and that shall be decoded.
        code_weight : float
            Weight mu of the error of the codes: (1 + mu) (l + mu sum_r rho_r l_r).

        Returns
        -------
        Tensor, a number
        """
        codes, anchor_codes = self.codes(given)
        mixed = self.barycentres(self.weights(codes, anchor_codes), anchor_codes)
        error = log_mse(self.decoded(mixed), target)
        if code_weight > 0:
            shares = (1.0, *self.layers.shortcuts)
            terms = [
                share * log_mse(mixture, code)
                for share, mixture, code in zip(shares, mixed, codes, strict=True)
            ]
            error = error + code_weight * torch.stack(terms).sum()
        return (1.0 + code_weight) * error


class _Level(torch.nn.Module):
    """Convolution, normalisation by the anchors, ELU."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv1d(n_in, n_out, kernel, stride, bias=False)
        self.gain = torch.nn.Parameter(torch.ones(n_out, 1))
        self.offset = torch.nn.Parameter(torch.zeros(n_out, 1))

    def forward(self, state: Tensor, n_anchors: int) -> Tensor:
        """Features of `state`, whose first `n_anchors` entries are the anchors."""
        features = self.conv(state)
        spread, mean = torch.std_mean(features[:n_anchors], dim=(0, 2), keepdim=True)
        # Normalisation, gain and offset in one pass over the features.
        slope = self.gain / (spread + _TINY)
        shifted = torch.addcmul(self.offset - mean * slope, features, slope)
        return torch.nn.functional.elu(shifted, inplace=True)


def _resized(state: Tensor, length: int) -> Tensor:
    """Linear interpolation to `length` channels, end on end."""
    if state.shape[2] == length:
        return state
    return torch.nn.functional.interpolate(state, length, mode="linear", align_corners=True)
