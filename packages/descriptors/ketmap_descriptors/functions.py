"""The symmetry functions of Behler and Parrinello as hyper-parameters that know their formula.

Behler, J. Chem. Phys. 134, 074106 (2011), with its names: η (Å⁻²), R_s (Å), κ (Å⁻¹), ζ and λ. Every term is
multiplied by the cutoff functions of its distances.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from ketmap_density.hypers import Hypers, hypers, number


class RadialFunction(Hypers):
    """A function of the distance to one neighbour."""

    g: ClassVar[int]  # Behler's number

    def values(self, r: torch.Tensor) -> torch.Tensor:  # -> [pair]
        raise NotImplementedError


@hypers
class G1(RadialFunction):
    """G¹ = Σ_j f_c(r_ij): how many neighbours there are."""

    g = 1

    def values(self, r):
        return torch.ones_like(r)


@hypers
class G2(RadialFunction):
    """G² = Σ_j exp(−η (r_ij − R_s)²) f_c(r_ij): neighbours on a shell. ``eta`` in Å⁻², ``shift`` R_s in Å."""

    g = 2

    eta: float
    shift: float = 0.0

    def __post_init__(self):
        self._set(eta=number(self.eta, "G2 eta", minimum=0), shift=number(self.shift, "G2 shift"))

    def values(self, r):
        return torch.exp(-self.eta * (r - self.shift) ** 2)


@hypers
class G3(RadialFunction):
    """G³ = Σ_j cos(κ r_ij) f_c(r_ij). ``kappa`` in Å⁻¹."""

    g = 3

    kappa: float

    def __post_init__(self):
        self._set(kappa=number(self.kappa, "G3 kappa"))

    def values(self, r):
        return torch.cos(self.kappa * r)


class AngularFunction(Hypers):
    """A function of two neighbours j and k of atom i and of the angle θ between them."""

    g: ClassVar[int]
    closed: ClassVar[bool]  # whether j and k must be neighbours of each other, too

    eta: float
    zeta: float
    lambda_: float

    def __post_init__(self):
        name = type(self).__name__
        self._set(
            eta=number(self.eta, f"{name} eta", minimum=0),
            zeta=number(self.zeta, f"{name} zeta", minimum=1),
            lambda_=number(self.lambda_, f"{name} lambda_"),
        )
        if abs(self.lambda_) > 1:
            raise ValueError(f"{name} lambda_ must be between -1 and 1 (Behler takes +1 and -1), got {self.lambda_:g}")


@hypers
class G4(AngularFunction):
    """G⁴ = 2^(1−ζ) Σ_{j<k} (1 + λ cos θ)^ζ exp(−η (r_ij² + r_ik² + r_jk²)) f_c(r_ij) f_c(r_ik) f_c(r_jk)."""

    g, closed = 4, True

    eta: float
    zeta: float
    lambda_: float


@hypers
class G5(AngularFunction):
    """G⁵ = 2^(1−ζ) Σ_{j<k} (1 + λ cos θ)^ζ exp(−η (r_ij² + r_ik²)) f_c(r_ij) f_c(r_ik)."""

    g, closed = 5, False

    eta: float
    zeta: float
    lambda_: float


def angular_values(
    functions: Sequence[AngularFunction], ij: torch.Tensor, ik: torch.Tensor, cosine: torch.Tensor
) -> list[torch.Tensor]:  # -> [triplet] of each function
    """Terms of functions of one kind without cutoff functions; equal factors are computed once.

    :param ij: r_ij, likewise ``ik``. -> [triplet]
    :param cosine: cos θ. -> [triplet]
    """
    squares = ij**2 + ik**2
    if functions[0].closed:
        squares = squares + third_side_squared(ij, ik, cosine)
    radial = {eta: torch.exp(-eta * squares) for eta in {f.eta for f in functions}}
    angular = {pair: _angular(*pair, cosine) for pair in {(f.zeta, f.lambda_) for f in functions}}
    return [radial[f.eta] * angular[f.zeta, f.lambda_] for f in functions]


def partial_derivatives(
    function: Callable[..., list[torch.Tensor]], *arguments: torch.Tensor
) -> list[torch.Tensor]:  # -> [entry, column] by each argument
    """Derivatives of a function that acts on each entry of its ``arguments`` [entry] alone, and gives columns."""
    with torch.enable_grad():
        leaves = [argument.detach().requires_grad_() for argument in arguments]
        columns = function(*leaves)
        slopes = []
        for column in columns:
            found = [None] * len(leaves)
            if column.requires_grad:
                found = torch.autograd.grad(column.sum(), leaves, retain_graph=True, allow_unused=True)
            slopes.append([torch.zeros_like(x) if slope is None else slope for x, slope in zip(leaves, found)])
    none = [arguments[0].new_zeros(len(arguments[0]), 0)] * len(arguments)
    return [torch.stack(list(by_argument), dim=1) for by_argument in zip(*slopes)] or none


def third_side_squared(ij: torch.Tensor, ik: torch.Tensor, cosine: torch.Tensor) -> torch.Tensor:
    """r_jk² by the law of cosines. -> [triplet]"""
    return (ij**2 + ik**2 - 2 * ij * ik * cosine).clamp(min=0)


def _angular(zeta: float, lam: float, cosine: torch.Tensor) -> torch.Tensor:
    """2 ((1 + λ cos θ)/2)^ζ. Whole powers by multiplication: faster, and smooth where the base is zero."""
    base = 0.5 * (1 + lam * cosine)
    if zeta != math.floor(zeta):
        return 2 * base.clamp(min=0) ** zeta
    result, rest = None, int(zeta)
    while rest:
        if rest % 2:
            result = base if result is None else result * base
        rest //= 2
        base = base * base if rest else base
    return 2 * result
