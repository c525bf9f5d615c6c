"""How far correlations go, and how much of them is kept."""

from ketmap_density.hypers import Hypers, hypers, integer, number


@hypers
class Contraction(Hypers):
    """Hyper-parameters of the N-body iterative contraction of equivariants.

    :param max_order: highest correlation order ν, 1 or more.
    :param max_angular: largest λ of the equivariants that are multiplied on; ``None``: that of the density.
    :param n_candidates: products kept for each (λ, σ) of an order, the largest in expectation.
    :param n_components: principal components kept for each (λ, σ) of an order.
    :param tolerance: components with less than this fraction of the variance of all candidates are left out.
    :param symmetries: the (λ, σ) that come out; true scalars unless said.
    """

    max_order: int = 4
    max_angular: int | None = None
    n_candidates: int = 400
    n_components: int = 100
    tolerance: float = 1e-12
    symmetries: tuple[tuple[int, int], ...] = ((0, 1),)

    def __post_init__(self):
        self._set(
            max_order=integer(self.max_order, "max_order", minimum=1),
            max_angular=None if self.max_angular is None else integer(self.max_angular, "max_angular", minimum=0),
            n_candidates=integer(self.n_candidates, "n_candidates", minimum=1),
            n_components=integer(self.n_components, "n_components", minimum=1),
            tolerance=number(self.tolerance, "tolerance", above=0.0),
            symmetries=tuple(_symmetry(given) for given in self.symmetries),
        )
        if not self.symmetries or len(set(self.symmetries)) < len(self.symmetries):
            raise ValueError(f"symmetries must be one or more different (λ, σ), got {self.symmetries}")


def _symmetry(given) -> tuple[int, int]:
    try:
        l, sigma = given
    except (TypeError, ValueError):
        raise ValueError(f"a symmetry is (λ, σ), for instance (0, 1); got {given!r}") from None
    if sigma not in (1, -1):
        raise ValueError(f"σ of a symmetry must be 1 or -1, got {sigma!r}")
    return integer(l, "λ of a symmetry", minimum=0), int(sigma)
