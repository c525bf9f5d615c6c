"""What a representation sees, and how much of it is needed: completeness, selection, contraction."""

from .completeness import Score, ScoreCard, invariants, random_structures, score_card, singular_values
from .twins import (
    Twins,
    equal_angles,
    equal_distances,
    equal_radii,
    equal_tetrahedra,
    known_twins,
    methane_manifold,
    mirror_images,
)

__version__ = "0.1.0"
__all__ = [
    "Score",
    "ScoreCard",
    "Twins",
    "equal_angles",
    "equal_distances",
    "equal_radii",
    "equal_tetrahedra",
    "invariants",
    "known_twins",
    "methane_manifold",
    "mirror_images",
    "random_structures",
    "score_card",
    "singular_values",
]
