"""Pictures: predicted against reference, and a run of molecular dynamics."""

from pathlib import Path

import matplotlib
import numpy as np
from ketmap_ase import Run
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

matplotlib.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
COLORS = {"train": "#9aa5b1", "validation": "#e69f00", "test": "#0072b2"}  # told apart without colour vision
LABELS = {
    "energy": "energy relative to composition / eV/atom",
    "forces": "force component / eV/Å",
    "stress": "stress component / eV/Å³",
}


def parity(path: Path, values: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    """Predicted against reference, one panel per target.

    values: target -> part -> (reference, predicted), of equal shapes.
    """
    figure = Figure(figsize=(3.8 * len(values), 3.7), layout="constrained")
    for axes, (target, parts) in zip(np.atleast_1d(figure.subplots(1, len(values))), values.items()):
        for part, (reference, predicted) in parts.items():
            rmse = np.sqrt(np.mean((predicted - reference) ** 2))
            axes.plot(
                reference.ravel(),
                predicted.ravel(),
                "o",
                markersize=3,
                markeredgewidth=0,
                alpha=0.6,
                color=COLORS[part],
                label=f"{part}: RMSE {1000 * rmse:.3g} m{LABELS[target].rpartition(' / ')[2]}",
                rasterized=True,
            )
        limits = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot(limits, limits, color="black", linewidth=0.6, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set(xlim=limits, ylim=limits, box_aspect=1, xlabel=f"reference {LABELS[target]}", ylabel="predicted")
        axes.legend(frameon=False, fontsize=7, loc="upper left")
    figure.savefig(path, dpi=150)


def dynamics(path: Path, run: Run, title: str) -> None:
    """Energies per atom and temperature along a run; volume as well where there is one that changes."""
    time = run.column("time")
    volume = run.column("volume")
    with_volume = np.ptp(volume) > 0
    figure = Figure(figsize=(6, 6.2 if with_volume else 4.8), layout="constrained")
    panels = figure.subplots(3 if with_volume else 2, 1, sharex=True)
    energy, temperature = panels[:2]
    for name, color in (("potential", "#0072b2"), ("kinetic", "#e69f00"), ("total", "#009e73")):
        values = run.column("potential") + run.column("kinetic") if name == "total" else run.column(name)
        energy.plot(time, 1000 * (values - values[0]) / run.n_atoms, color=color, label=name, linewidth=1)
    conserved = run.column("conserved")
    if not np.isnan(conserved).any() and with_volume:
        energy.plot(
            time,
            1000 * (conserved - conserved[0]) / run.n_atoms,
            color="black",
            label="conserved",
            linewidth=1,
        )
    energy.set(ylabel="energy change / meV/atom", title=title)
    energy.legend(frameon=False, fontsize=7, ncols=4)
    temperature.plot(time, run.column("temperature"), color="#d55e00", linewidth=1)
    temperature.axhline(np.mean(run.column("temperature")), color="black", linewidth=0.6, linestyle="--")
    temperature.set(ylabel="temperature / K")
    if with_volume:
        panels[2].plot(time, volume, color="#56b4e9", linewidth=1)
        panels[2].set(ylabel="volume / Å³")
    panels[-1].set(xlabel="time / ps")
    figure.savefig(path, dpi=150)
