"""The calculator: structures to a TensorMap of the long-range field around every atom."""

import warnings
from typing import ClassVar

from ketmap_core import CoincidentAtomsWarning, as_batch, coincident
from ketmap_core.errors import coincident_message
from ketmap_density.base import AssembledCalculator
from ketmap_density.basis import Basis
from ketmap_density.hypers import complete
from ketmap_density.selection import Selection

from .assembly import FieldAssembly, key_names
from .density import SmearedPowerLaw
from .expansion import Centers, FieldExpansion


class LodeSphericalExpansion(AssembledCalculator):
    """Long-distance equivariants: the field of all atoms, V(r) = Σ_j v_p(|r − r_j|), expanded around every atom.

    ⟨a n l m|V_i⟩ = ∫ φ_n(r) Y_lm(r̂) V_a(r_i + r) d³r with the field V_a of the atoms of type a, the centre included;
    v_p is :class:`SmearedPowerLaw` (Grisafi, Ceriotti, JCP 151, 204105 (2019); Huguenin-Dumittan, Loche, Ni, Ceriotti,
    JPCL 14, 9612 (2023)). Names and, for crystals, values are featomic's.

    Crystals are summed over wave vectors below ``k_cutoff``, without k = 0 for p ≤ 3; slabs (two periodic directions)
    over those of the plane, with an integral across it; molecules and clusters in real space, exactly. All kinds may
    stand in one list. For p ≤ 3 the fields of crystals, and for p ≤ 2 those of slabs, lack a divergent constant: see
    the conventions.

    Keys ``o3_lambda, o3_sigma, center_type, neighbor_type`` (and ``exponent`` where the density has a list of them);
    samples ``system, atom``: all centres in systems that hold the neighbour type; component ``o3_mu``; property ``n``.
    Positions gradients are by the centre and all atoms of the neighbour type. Cells that are periodic along one
    direction alone are an error.

    :param density: :class:`SmearedPowerLaw`, or featomic's dictionary.
    :param basis: e.g. ``TensorProduct``, of radial functions that know their ``radius``; or featomic's dictionary.
    :param k_cutoff: 1/Å; 1.2 π/σ unless said.
    :param accuracy: instead of a cutoff, the root mean square error that the coefficients of each l may have, relative
        to their root mean square, for crystals: these are then summed as the complete field, shared between waves and
        pairs in the cheapest way and, from some hundred or thousand atoms on, over a mesh. Energies are smooth in
        positions and cell; on a mesh they may jump with the cell, within the accuracy.

    >>> import ase.build
    >>> from ketmap_density import Gto, TensorProduct
    >>> from ketmap_lode import LodeSphericalExpansion, SmearedPowerLaw
    >>> lode = LodeSphericalExpansion(
    ...     density=SmearedPowerLaw(smearing=1.0, exponent=1),
    ...     basis=TensorProduct(max_angular=1, radial=Gto(max_radial=2, radius=3.0)),
    ... )
    >>> tensor = lode.compute([ase.build.bulk("NaCl", "rocksalt", 5.64), ase.build.molecule("NaCl")])
    >>> tensor.block(dict(o3_lambda=1, center_type=11, neighbor_type=17)).shape
    (2, 3, 3)
    """

    #: slopes are those of tables of 1e-10
    law_tolerances: ClassVar = {
        "positions_gradient": 1e-8,
        "strain_gradient": 1e-7,
        "cell_gradient": 1e-8,
        "supercell": 1e-8,
    }
    exempt_laws: ClassVar = {
        "extensive": "systems feel one another at any distance: the field has no cutoff",
        "isolated": "a lone atom far away is felt: the field has no cutoff",
        "zero_beyond": "the field has no cutoff",
        "smooth_at_cutoff": "the field has no cutoff",
    }

    def __init__(
        self,
        *,
        density: SmearedPowerLaw = None,
        basis: Basis = None,
        k_cutoff: float | None = None,
        accuracy: float | None = None,
        **misspelt,
    ):
        names = {"k_cutoff": 0.0 if k_cutoff is None else k_cutoff, "accuracy": accuracy or 0.0}
        complete(type(self).__name__, misspelt, density=density, basis=basis, **names)
        self.expansion = FieldExpansion(density, basis, k_cutoff, accuracy)

    @property
    def density(self) -> SmearedPowerLaw:
        return self.expansion.density

    @property
    def basis(self) -> Basis:
        return self.expansion.basis

    @property
    def k_cutoff(self) -> float:
        """1/Å."""
        return self.expansion.k_cutoff

    def to_dict(self) -> dict:
        """Hyper-parameters in featomic's nested spelling."""
        return self.expansion.to_dict()

    @classmethod
    def from_dict(cls, given: dict) -> "LodeSphericalExpansion":
        return cls(**given)

    def _prepare(self, systems, selected_keys, selected_samples, selected_properties) -> tuple[FieldAssembly, list]:
        selection = Selection(selected_keys, selected_samples, selected_properties, key_names(self.expansion), ("n",))
        batch = as_batch(systems)
        if found := coincident(batch):
            warnings.warn(coincident_message(found), CoincidentAtomsWarning, stacklevel=3)
        centers = Centers.of(batch, selection.wanted("neighbor_type"), selection.atoms(batch))
        assembly = FieldAssembly(self.expansion, batch, centers, selection)
        return assembly, assembly.choose_keys()

    def scalars(self, batch, types):  # -> [centre], [centre, neighbour type, (exponent, n)]
        """Atoms, by (type, system, atom), and their coefficients of l = 0 without labels, differentiable.

        :param types: of the neighbours, ascending.
        """
        centers = Centers.of(batch, tuple(types), None)
        return centers.centers, self.expansion.up_to(0).coefficients(centers, batch)[:, :, 0]

    def scalar_column(self, key: dict[str, int]) -> int:
        """Where n = 0 of a block stands in the last axis of :meth:`scalars`."""
        field = self.density.exponents.index(key["exponent"]) if self.density.several else 0
        return field * (self.expansion.n_max + 1)
