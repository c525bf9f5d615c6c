"""Fit a model and leave a folder that says all about it."""

import time
from pathlib import Path

import ase
import numpy as np
from ketmap_linear import Model

from .. import console, documents, plots, reports
from ..config import TrainConfig
from ..datasets import PARTS, absolute, demand, load_structures, reference, share_out, with_target
from ..folders import CONFIG, SIGNATURE, new_folder

MODEL = "model.ketmap"


def train(config: Path, output: Path | None = None, overwrite: bool = False) -> Path:
    """Train as a YAML file says; the folder that is left.

    It holds the model, the errors (txt, csv, json), the parity plot and the configuration with its defaults, and
    appears when all of them are complete.
    """
    settings = documents.load(config, TrainConfig)
    names = ("data", "validation_data", "test_data")
    datasets = {name: absolute(getattr(settings, name), config) for name in names}
    folder = Path(output or settings.output or f"runs/{config.stem}")
    settings = settings.model_copy(update={**datasets, "output": str(folder)})
    with new_folder(folder, overwrite) as partial:
        parts = _parts(settings)
        counts = ", ".join(f"{name} {len(structures)}" for name, structures in parts.items())
        console.out.print(f"structures: {counts}")
        started = time.perf_counter()
        model = Model(settings.represented(), settings.regressor.build())
        with console.progress() as advance:
            model.fit(
                parts["train"],
                **{target: target for target in settings.targets},
                weights=settings.weights or None,
                progress=advance,
            )
            for name in PARTS[1:]:
                if parts[name]:
                    model.score(parts[name], name)
        seconds, report = time.perf_counter() - started, model.report
        console.out.print(reports.error_table(model.errors))
        console.out.print(
            f"{report['features']} features, {report['rows']} equations, alpha {model.alpha:.2g}, "
            f"condition number {model.condition_number:.2g}, {seconds:.1f} s"
        )
        _fill(partial, model, parts, settings)
    console.out.print(f"[bold]{folder}[/bold]: {MODEL}, errors.txt, errors.csv, errors.json, parity.png, {CONFIG}")
    return folder


def _parts(settings: TrainConfig) -> dict[str, list[ase.Atoms]]:
    """Structures of training, validation and test; everything that they need is there."""
    structures = load_structures(settings.data)
    demand(structures, settings.targets)
    own = {name: data for name in PARTS[1:] if (data := getattr(settings, f"{name}_data")) is not None}
    places = share_out(len(structures), settings.split, elsewhere=own)
    parts = {name: [structures[i] for i in places[name]] for name in PARTS}
    parts |= {name: load_structures(data) for name, data in own.items()}
    for name in own:
        demand(parts[name], settings.targets)
    return parts


def _fill(folder: Path, model: Model, parts: dict[str, list[ase.Atoms]], settings: TrainConfig) -> None:
    model.save(folder / MODEL)
    about = {
        "alpha": model.alpha,
        "condition_number": model.condition_number,
        "features": model.report["features"],
        "equations": model.report["rows"],
    }
    reports.write_errors(folder, model.errors, about)
    with open(folder / "errors.txt", "w") as file:
        console.Console(file=file, width=110).print(reports.error_table(model.errors))
    values = {
        target: {name: pair for name in PARTS if (pair := compare(model, parts[name], target)) is not None}
        for target in settings.targets
    }
    if "energy" in values:  # what composition explains is no merit of the model
        zero = values["energy"]["train"][0].mean()
        values["energy"] = {name: (given - zero, found - zero) for name, (given, found) in values["energy"].items()}
    plots.parity(folder / "parity.png", values)
    documents.dump(
        folder / CONFIG,
        settings,
        f"{SIGNATURE}: what made this folder, all defaults filled in\nagain: ketmap train {CONFIG} -o …",
    )


def compare(model: Model, structures: list[ase.Atoms], target: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Reference and predicted values; energies per atom, less those of the composition."""
    usable = with_target(structures, target)
    if not usable:
        return None
    given = np.concatenate([np.reshape(reference(atoms, target), -1) for atoms in usable])
    predicted = model.predict(usable, [target])[target].block(0).values.ravel()
    if target == "energy":
        sizes = np.array([len(atoms) for atoms in usable])
        baseline = np.array([sum(model.composition[int(z)] for z in atoms.numbers) for atoms in usable])
        return (given - baseline) / sizes, (predicted - baseline) / sizes
    return given, predicted
