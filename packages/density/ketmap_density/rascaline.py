"""Hyper-parameters of rascaline, featomic's predecessor: one flat dictionary, and ``max_radial`` counts functions."""

from collections.abc import Mapping

from ketmap_core import unknown_name

from .hypers import check_names, integer

NAMES = (
    *("cutoff", "max_radial", "max_angular", "atomic_gaussian_width", "center_atom_weight", "radial_basis"),
    *("cutoff_function", "radial_scaling"),
)
#: names that only rascaline has: one of them tells its dictionaries from featomic's
SIGNS = tuple(name for name in NAMES if name not in ("cutoff", "center_atom_weight"))


def is_rascaline(given: Mapping) -> bool:
    """Whether these arguments of a calculator are rascaline's.

    >>> is_rascaline({"cutoff": 3.5, "max_radial": 6, "max_angular": 6})
    True
    """
    return any(name in given for name in SIGNS)


def understood(owner: str, cutoff, density, basis, others: dict, angular: bool = True) -> tuple:
    """``cutoff``, ``density``, ``basis`` and what is left of the ``others``: as given, or made of rascaline's."""
    if not is_rascaline(others):
        return cutoff, density, basis, others
    given = {"cutoff": cutoff, "density": density, "basis": basis} | others
    given = from_rascaline({name: value for name, value in given.items() if value is not None}, owner, angular)
    return given["cutoff"], given["density"], given["basis"], {}


def from_rascaline(given: Mapping, owner: str, angular: bool = True) -> dict:
    """``cutoff``, ``density`` and ``basis`` in featomic's spelling, from rascaline's dictionary.

    rascaline's ``max_radial`` is the number of radial functions, one more than featomic's.

    :param owner: the calculator, for errors.
    :param angular: whether it has ``max_angular``; if not, the basis is ``{"radial": …}`` only.
    :raises ValueError: for names that are missing, misspelt, or have no counterpart.

    >>> from_rascaline(
    ...     {
    ...         "cutoff": 3.5,
    ...         "max_radial": 6,
    ...         "max_angular": 4,
    ...         "atomic_gaussian_width": 0.3,
    ...         "center_atom_weight": 1.0,
    ...         "radial_basis": {"Gto": {}},
    ...         "cutoff_function": {"ShiftedCosine": {"width": 0.5}},
    ...     },
    ...     "SphericalExpansion",
    ... )["basis"]
    {'type': 'TensorProduct', 'max_angular': 4, 'radial': {'type': 'Gto', 'max_radial': 5}, 'spline_accuracy': None}
    """
    names = [name for name in NAMES if angular or name != "max_angular"]
    where = f"{owner} (rascaline)"
    check_names(given, names, where)
    if missing := [
        name for name in names if name not in given and name not in ("radial_scaling", "center_atom_weight")
    ]:
        raise ValueError(f"hyper-parameters of {where} need {', '.join(names)}; missing: {', '.join(missing)}")
    smoothing, values = _chosen(given["cutoff_function"], {"Step": (), "ShiftedCosine": ("width",)}, "cutoff_function")
    density = {
        "type": "Gaussian",
        "width": given["atomic_gaussian_width"],
        "center_atom_weight": given.get("center_atom_weight", 1.0),
    }
    if (scaling := given.get("radial_scaling")) is not None:
        kinds = {"None": (), "Willatt2018": ("exponent", "rate", "scale")}
        kind, parameters = _chosen(scaling, kinds, "radial_scaling")
        if kind != "None":
            density["scaling"] = {"type": kind, **parameters}
    kinds = {"Gto": ("splined_radial_integral", "spline_accuracy")}
    kind, splines = _chosen(given["radial_basis"], kinds, "radial_basis")
    accuracy = splines.get("spline_accuracy") if splines.get("splined_radial_integral", True) else None
    count = integer(given["max_radial"], "max_radial of rascaline, the number of radial functions,", minimum=1)
    basis = {"radial": {"type": kind, "max_radial": count - 1}, "spline_accuracy": accuracy}
    if angular:
        basis = {"type": "TensorProduct", "max_angular": given["max_angular"], **basis}
    return {
        "cutoff": {"radius": given["cutoff"], "smoothing": {"type": smoothing, **values}},
        "density": density,
        "basis": basis,
    }


def _chosen(given, kinds: dict[str, tuple[str, ...]], name: str) -> tuple[str, dict]:
    """The one of ``kinds`` that ``{"Kind": {…}}`` names, and its parameters."""
    if not isinstance(given, Mapping) or len(given) != 1:
        raise ValueError(f"{name} must be a dictionary with one of {', '.join(kinds)}; got {given!r}")
    ((kind, parameters),) = given.items()
    if kind == "TabulatedRadialIntegral":
        raise ValueError(
            "radial_basis TabulatedRadialIntegral holds integrals of a density that it does not name: give the "
            "functions themselves, as Tabulated or Custom"
        )
    if kind not in kinds:
        raise ValueError(unknown_name(str(kind), list(kinds), f"{name} of rascaline"))
    check_names(parameters or {}, kinds[kind], f"{kind} of rascaline")
    return kind, dict(parameters or {})
