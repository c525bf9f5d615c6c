"""All laws on one calculator."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from . import contract, cutoffs, derivatives, independence, periodicity, symmetry, torch_laws
from .rows import LawBroken, NotApplicable, lacks_gradients
from .systems import default_systems

LAWS = {
    "rotation": symmetry.rotation,
    "inversion": symmetry.inversion,
    "translation": symmetry.translation,
    "permutation": symmetry.permutation,
    "wrapped": periodicity.wrapped,
    "supercell": periodicity.supercell,
    "cell_choice": periodicity.cell_choice,
    "left_handed": periodicity.left_handed,
    "positions_gradient": derivatives.positions_gradient,
    "strain_gradient": derivatives.strain_gradient,
    "cell_gradient": derivatives.cell_gradient,
    "autograd": torch_laws.autograd,
    "second_order": torch_laws.second_order,
    "float32": torch_laws.float32,
    "zero_beyond": cutoffs.zero_beyond,
    "smooth_at_cutoff": cutoffs.smooth_at_cutoff,
    "extensive": independence.extensive,
    "batch": independence.batch,
    "threads": independence.threads,
    "isolated": independence.isolated,
    "empty": independence.empty,
    "coincident": contract.coincident,
    "contract": contract.contract,
}
CUTOFF_LAWS = {"zero_beyond", "smooth_at_cutoff"}


@dataclass
class Report:
    """Largest relative deviation of each law that held, and why the others were not tried, or broke."""

    deviations: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  #: of :func:`survey`; others raise instead
    refused: dict[str, str] = field(default_factory=dict)  #: of :func:`survey`: systems that were left out, and why

    def __str__(self) -> str:
        lines = [f"{law:<20} {value:9.1e}" for law, value in self.deviations.items()]
        lines += [f"{law:<20} not tried: {why}" for law, why in self.skipped.items()]
        lines += [f"{law:<20} broken: {why}" for law, why in self.broken.items()]
        return "\n".join(lines + [f"{system:<20} refused: {why}" for system, why in self.refused.items()])


def check_calculator(
    calculator, *, systems=None, cutoff=None, laws: Iterable[str] | None = None, rtol: float = 1e-9
) -> Report:
    """Try every law on a calculator; raise :class:`LawBroken` (an AssertionError) at the first that it
    breaks, an error in ``compute`` included. :func:`survey` goes on instead.

    calculator: anything with ``compute(systems)`` that returns a TensorMap, and takes ``gradients=[…]`` if it has
    any; laws about gradients that it does not offer are skipped.
    systems: list of ``ase.Atoms``; by default a molecule, a triclinic crystal, a small cell and a slab.
    cutoff: radius of a smooth cutoff, or an object with ``radius`` and ``smoothing``; by default the
    calculator's ``cutoff``. The laws about the cutoff are tried where it is known. laws: names of the laws to
    try, by default all of :data:`LAWS`. rtol: allowed deviation, relative to the largest value of the block.

    A calculator for which a law holds to less declares ``law_tolerances = {law: rtol}``; one for which it
    does not hold declares ``exempt_laws = {law: reason}``.
    """
    return try_laws(LAWS, calculator, systems or default_systems(), cutoff=cutoff, laws=laws, rtol=rtol)


def survey(calculator, *, systems=None, cutoff=None, laws: Iterable[str] | None = None, rtol: float = 1e-9) -> Report:
    """As :func:`check_calculator`, for calculators of others: which laws hold, and where the others break.

    Nothing is raised: laws that are broken, errors in ``compute`` included, stand in the report with their reason.
    Systems that the calculator refuses (mixed periodicity, say) are left out, and stand there too.
    """
    report, taken = Report(), []
    for atoms in systems or default_systems():
        try:
            calculator.compute([atoms])
            taken.append(atoms)
        except Exception as error:
            periodic = "".join("p" if p else "-" for p in atoms.pbc)
            report.refused[f"{atoms.get_chemical_formula()} ({periodic})"] = _told(error)
    for law in LAWS if laws is None else laws:
        if not taken:
            report.skipped[law] = "all systems are refused"
            continue
        try:
            found = try_laws(LAWS, calculator, taken, cutoff=cutoff, laws=[law], rtol=rtol)
        except LawBroken as error:
            report.broken[law] = str(error)
        else:
            report.deviations |= found.deviations
            report.skipped |= found.skipped
    return report


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def try_laws(table: dict, subject, systems, *, cutoff=None, laws=None, rtol=1e-9) -> Report:
    """The loop of :func:`check_calculator` and :func:`check_model` over a table of laws."""
    exempt = getattr(subject, "exempt_laws", {})
    tolerances = getattr(subject, "law_tolerances", {})
    cutoff = cutoff if cutoff is not None else getattr(subject, "cutoff", None)
    report = Report()
    for law in table if laws is None else laws:
        if law not in table:
            near = get_close_matches(law, table, n=1)
            raise ValueError(
                f"unknown law {law!r}" + (f"; did you mean {near[0]!r}?" if near else "") + f" Laws: {', '.join(table)}"
            )
        if law in exempt:
            report.skipped[law] = exempt[law]
            continue
        more = {"cutoff": cutoff} if law in CUTOFF_LAWS else {}
        try:
            report.deviations[law] = table[law](subject, systems, rtol=tolerances.get(law, rtol), **more)
        except NotApplicable as reason:
            report.skipped[law] = str(reason)
        except LawBroken:
            raise
        except Exception as error:
            if lacks_gradients(error):
                report.skipped[law] = _told(error)
                continue
            raise LawBroken(law, f"compute raises {_told(error)}", float("inf"), rtol) from error
    return report
