"""The score card of a representation: which structures it confuses, and which motions it does not feel.

A representation is complete if structures with equal features are equal up to rigid motions. It is locally complete if
the Jacobian of the features, restricted to motions that are not rigid, has full rank: its smallest singular value says
how weakly the least visible motion is felt (Pozdnyakov, Zhang, Ortner, Csányi, Ceriotti, *Open Res. Europe* **1**,
126 (2021)).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms
from ketmap_core.tensors import as_numpy

from .twins import Twins, known_twins

#: twins nearer than this, in typical distances, are the same to the representation
RESOLUTION = 1e-8
#: distances smaller than this fraction of the largest typical distance of any twins are rounding
NOISE = 1e-13
#: singular values smaller than this fraction of the largest are zero
RANK = 1e-7


@dataclass(frozen=True)
class Score:
    """What a representation makes of one pair of twins."""

    twins: Twins
    distance: float  #: between the features of the twins, in units of ``typical``
    typical: float  #: median distance between random structures of the same atoms
    singular_values: np.ndarray  #: of the Jacobian of the first twin, one per motion that is not rigid, descending

    @property
    def told_apart(self) -> bool:
        return self.distance > RESOLUTION

    @property
    def rank(self) -> int:
        """Number of independent motions that change the features."""
        return int((self.singular_values > RANK * self.singular_values[0]).sum()) if self.singular_values.any() else 0

    @property
    def smallest(self) -> float:
        """Smallest singular value of the Jacobian, relative to the largest."""
        return float(self.singular_values[-1] / self.singular_values[0]) if self.singular_values.any() else 0.0


@dataclass(frozen=True)
class ScoreCard:
    """One :class:`Score` per pair of twins; ``print`` shows them as a table."""

    calculator: str
    scores: list[Score] = field(default_factory=list)

    def __getitem__(self, name: str) -> Score:
        """The score of the twins of this name.

        :raises KeyError: if there are none, naming those that there are.
        """
        for score in self.scores:
            if score.twins.name == name:
                return score
        raise KeyError(f"no twins '{name}'; there are: {', '.join(score.twins.name for score in self.scores)}")

    def __str__(self) -> str:
        head = f"{'twins':<18} {'needs':<9} {'distance':>9}  {'told apart':<10}  {'rank':>7}  smallest singular value"
        return "\n".join([self.calculator, head, *map(_line, self.scores)])


def _line(score: Score) -> str:
    needs = f"ν = {score.twins.order}" + ("" if score.twins.sigma > 0 else ", σ = −1")
    rank = f"{score.rank} of {len(score.singular_values)}"
    told = "yes" if score.told_apart else "no"
    return f"{score.twins.name:<18} {needs:<13} {score.distance:>9.1e}  {told:<10} {rank:>8}  {score.smallest:.1e}"


def score_card(calculator, twins: Sequence[Twins] | None = None, *, seed: int = 0) -> ScoreCard:
    """Which of the known twins a representation tells apart, and its Jacobian on each.

    Only invariants are compared: all of a TensorMap without ``o3_lambda``, else the blocks with λ = 0, pseudoscalars
    included. Representations of whole structures (samples ``system``) are compared as such; those of atoms by
    the row of the centre, or summed over atoms where twins are structures.

    :param calculator: anything with ``compute(systems, gradients=…)``, explicit position gradients included.
    :param twins: pairs of structures, by default :func:`known_twins`.
    :param seed: of the random structures that say what a typical distance is.
    :raises ValueError: if the calculator has no invariants.

    The Jacobian of a structure with a mirror plane, or of one that lies in a plane, never has full rank for true
    scalars: motions across the plane change them in second order only.
    """
    scores = [_score(calculator, pair, seed) for pair in (known_twins() if twins is None else twins)]
    noise = NOISE * max((score.typical for score in scores), default=0.0)
    for i, score in enumerate(scores):  # features that vanish for all such structures are rounding
        if score.distance * score.typical <= noise:
            scores[i] = replace(score, distance=0.0)
    return ScoreCard(type(calculator).__name__, scores)


def _score(calculator, pair: Twins, seed: int) -> Score:
    others = random_structures(pair.first, pair.center, seed)
    features = invariants(calculator, [pair.first, pair.second, *others], pair.center)  # -> [structure, feature]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(features[2:]) for b in features[3 + i :]]
    typical = float(np.median(gaps))
    distance = float(np.linalg.norm(features[0] - features[1])) / (typical or 1.0)
    return Score(pair, distance, typical, singular_values(calculator, pair.first, pair.center))


def random_structures(atoms: Atoms, center: int | None, seed: int = 0, count: int = 8) -> list[Atoms]:
    """Structures of the same atoms at the same distances from ``center`` (or from their mean), in random directions."""
    rng = np.random.default_rng(seed)
    origin = atoms.positions.mean(axis=0) if center is None else atoms.positions[center]
    radii = np.linalg.norm(atoms.positions - origin, axis=1)
    made = []
    for _ in range(count):
        directions = rng.normal(size=(len(atoms), 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        made.append(Atoms(atoms.numbers, positions=origin + radii[:, None] * directions))
    return made


def invariants(calculator, systems: list[Atoms], center: int | None = None) -> np.ndarray:  # -> [system, feature]
    """Invariant features of the atom ``center`` of each system, or their sums over all atoms."""
    columns = []
    for block in _scalar_blocks(calculator.compute(systems)):
        values = as_numpy(block.values).reshape(len(block.samples), len(block.properties))
        system, chosen = _places(block.samples, center)
        rows = np.zeros((len(systems), values.shape[1]))
        np.add.at(rows, system[chosen], values[chosen])
        columns.append(rows)
    return np.concatenate(columns, axis=1)


def singular_values(calculator, atoms: Atoms, center: int | None = None) -> np.ndarray:  # -> [motion]
    """Singular values of ∂features/∂positions, restricted to motions that are not rigid; descending."""
    slopes = []
    for block in _scalar_blocks(calculator.compute([atoms], gradients=["positions"])):
        gradient = block.gradient("positions")
        sample, _, moved = as_numpy(gradient.samples.values).T
        values = as_numpy(gradient.values).reshape(len(sample), 3, -1)
        _, chosen = _places(block.samples, center)
        here = chosen[sample]
        slope = np.zeros((len(atoms), 3, values.shape[2]))
        np.add.at(slope, moved[here], values[here])
        slopes.append(slope.reshape(3 * len(atoms), -1))
    jacobian = _internal(atoms.positions).T @ np.concatenate(slopes, axis=1)  # -> [motion, feature]
    found = np.linalg.svd(jacobian, compute_uv=False)
    return np.concatenate([found, np.zeros(len(jacobian) - len(found))])  # fewer features than motions


def _scalar_blocks(tensor) -> list:
    names = tensor.keys.names
    if "o3_lambda" not in names:
        return list(tensor.blocks())
    degrees = as_numpy(tensor.keys.values)[:, names.index("o3_lambda")]
    if not (degrees == 0).any():
        raise ValueError(f"expected features with λ = 0, but o3_lambda is {sorted(set(degrees.tolist()))}")
    return [block for block, degree in zip(tensor.blocks(), degrees) if degree == 0]


def _places(samples, center: int | None) -> tuple[np.ndarray, np.ndarray]:  # -> system [row], whether it counts [row]
    values, names = as_numpy(samples.values), list(samples.names)
    atom = next((names.index(name) for name in ("atom", "first_atom") if name in names), None)
    whole = center is None or atom is None
    return values[:, names.index("system")], np.ones(len(values), bool) if whole else values[:, atom] == center


def _internal(positions: np.ndarray) -> np.ndarray:  # -> [(atom, xyz), motion]
    """Orthonormal basis of the motions that are neither translations nor rotations."""
    centered = positions - positions.mean(axis=0)
    rigid = [np.tile(axis, len(positions)) for axis in np.eye(3)]
    rigid += [np.cross(axis, centered).reshape(-1) for axis in np.eye(3)]
    vectors, values, _ = np.linalg.svd(np.array(rigid).T)
    return vectors[:, (values > 1e-9 * values[0]).sum() :]
