"""What the YAML files of the command line may say."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from ketmap_cg import PowerSpectrum
from ketmap_density import SphericalExpansion
from ketmap_linear import Ridge
from ketmap_lode import LodeSphericalExpansion
from ketmap_soap import SoapPowerSpectrum

from .schema import Built, Strict, one_of

Target = Literal["energy", "forces", "stress"]
Path_ = Annotated[str, pydantic.Field(min_length=1)]
Positive = Annotated[float, pydantic.Field(gt=0)]
Count = Annotated[int, pydantic.Field(ge=1)]
Part = Annotated[float, pydantic.Field(ge=0)] | str | list[int]

Expanded = one_of(SphericalExpansion, LodeSphericalExpansion)


class ProductOfDensities(Built):
    """A power spectrum of two densities, say ρ⊗V; of one with itself if the second is null."""

    type: Literal["PowerSpectrum"]
    calculator_1: Expanded
    calculator_2: Expanded | None = None
    neighbor_types: list[int] | None = None

    def build(self) -> PowerSpectrum:
        second = None if self.calculator_2 is None else self.calculator_2.build()
        return PowerSpectrum(self.calculator_1.build(), second, self.neighbor_types)


Learnable = one_of(SoapPowerSpectrum, LodeSphericalExpansion, ProductOfDensities)


class DataSet(Strict):
    """Structures in files; relative paths start at the folder of the YAML file.

    index: which frames of each file, as in Python ("0:100", "::2").
    units: of what the files hold, ``{energy: Ha, forces: Ha/bohr}``; eV and Å unless said.
    names: what the files call things, ``{forces: force}``.
    """

    file: Path_ | Annotated[list[Path_], pydantic.Field(min_length=1)]
    index: str = ":"
    units: dict[str, str] = pydantic.Field(default_factory=dict)
    names: dict[str, str] = pydantic.Field(default_factory=dict)

    def paths(self) -> list[str]:
        """The files, always as a list."""
        return [self.file] if isinstance(self.file, str) else self.file

    def beside(self, folder: Path) -> "DataSet":
        """The same data set with paths that do not depend on where the program runs."""
        absolute = [str((folder / path).resolve()) for path in self.paths()]
        return self.model_copy(update={"file": absolute[0] if isinstance(self.file, str) else absolute})


class Split(Strict):
    """How ``data`` is shared out.

    Up to 1 a fraction, above it a number of structures, drawn with ``seed``; or, for all three, places in the
    data set, as a slice ("0:800") or a list. train null: all that is left.
    """

    train: Part | None = None
    validation: Part = 0.1
    test: Part = 0.1
    seed: int = 0

    @pydantic.model_validator(mode="after")
    def _one_kind(self):
        parts = [value for name in self.model_fields_set - {"seed"} if (value := getattr(self, name)) is not None]
        if len({isinstance(part, str | list) for part in parts}) > 1:
            raise ValueError("train, validation and test must all be numbers or all be places (slices, lists)")
        if parts and isinstance(parts[0], str | list) and len(parts) < 3:
            raise ValueError('places must be given for train, validation and test; for none, write ":0"')
        return self


class TrainConfig(Strict):
    """``ketmap train``: data, what is learnt from them, and how.

    representation: one, or a list of them, whose features are learnt from together.
    validation_data, test_data: data sets of their own for these parts, which then take nothing of ``data``.
    """

    data: DataSet
    validation_data: DataSet | None = None
    test_data: DataSet | None = None
    split: Split = Split()
    targets: list[Target] = pydantic.Field(["energy", "forces"], min_length=1)
    weights: dict[Target, Positive] = pydantic.Field(default_factory=dict)
    representation: Annotated[
        Annotated[Learnable, pydantic.Tag("one")]
        | Annotated[Annotated[list[Learnable], pydantic.Field(min_length=1)], pydantic.Tag("several")],
        # said apart by this, so that only the right one complains
        pydantic.Discriminator(lambda given: "several" if isinstance(given, list) else "one"),
    ]
    regressor: one_of(Ridge) = one_of(Ridge)()
    output: Path_ | None = None

    def represented(self) -> Any:
        """What a model is built on."""
        given = self.representation
        return [part.build() for part in given] if isinstance(given, list) else given.build()

    @pydantic.model_validator(mode="after")
    def _weights_of_targets(self):
        if unused := set(self.weights) - set(self.targets):
            raise ValueError(f"weights of {', '.join(sorted(unused))}, which targets does not list")
        return self


class ChunkSize(Strict):
    """Where one file of a folder of features ends: after so many systems, or with the batch that fills so many MB."""

    systems: Count | None = None
    megabytes: Positive | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_them(self):
        if (self.systems is None) == (self.megabytes is None):
            raise ValueError("chunk is either systems or megabytes, one of them")
        return self


class FeaturesConfig(Strict):
    """``ketmap features``: which features, and of what if no structures are named on the command line.

    output: a file (.mts), or a folder, into which chunks are written while the structures are read.
    chunk: the size of these.
    """

    representation: one_of(SphericalExpansion, LodeSphericalExpansion, SoapPowerSpectrum, ProductOfDensities)
    data: DataSet | None = None
    gradients: list[Literal["positions", "strain", "cell"]] = pydantic.Field(default_factory=list)
    output: Path_ | None = None
    chunk: ChunkSize = ChunkSize(megabytes=64.0)


class MdConfig(Strict):
    """``ketmap md``: fs, K, GPa, Å. None: the default of the ensemble, see ``ketmap md --help``."""

    model: Path_
    structure: Path_
    frame: int = -1
    ensemble: Literal["nve", "langevin", "npt"] = "nve"
    steps: Count = 2000
    timestep: Positive = 0.5
    temperature: Annotated[float, pydantic.Field(ge=0)] = 300.0
    keep_velocities: bool = False
    pressure: float | None = None
    relaxation: Positive | None = None
    cell_relaxation: Positive | None = None
    fixed_shape: bool | None = None
    every: Count = 10
    seed: int = 0
    skin: Annotated[float, pydantic.Field(ge=0)] = 1.0
    trajectory: Literal["xyz", "traj"] = "xyz"
    output: Path_ | None = None

    @pydantic.model_validator(mode="after")
    def _fits_the_ensemble(self):
        meant = {"nve": (), "langevin": ("relaxation",), "npt": tuple(_OF_NPT)}[self.ensemble]
        for name in _OF_NPT:
            if getattr(self, name) is not None and name not in meant:
                raise ValueError(f"{name} has no meaning for ensemble {self.ensemble}; leave it out")
        return self

    def given(self, *names: str) -> dict:
        """Those of the settings that are not None."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_OF_NPT = ("pressure", "relaxation", "cell_relaxation", "fixed_shape")
