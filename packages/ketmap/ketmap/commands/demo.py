"""The whole road on the data set that comes with the package: train, then a picosecond of dynamics."""

from importlib import resources
from pathlib import Path

import ase.io

from .. import console
from ..config import MdConfig, TrainConfig
from ..datasets import load_structures, share_out
from ..documents import load
from .md import md
from .train import MODEL, train

STEPS, TIMESTEP = 2000, 0.5  # 1 ps


def demo(folder: Path, overwrite: bool = False) -> None:
    """Train on ethanol (GFN2-xTB) and run 1 ps at constant energy from a configuration that was left out."""
    with resources.as_file(resources.files("ketmap") / "data") as data:
        config = data / "ethanol.yaml"
        console.out.print(f"[bold]ketmap train {config}[/bold]")
        train(config, folder, overwrite)
        settings = load(config, TrainConfig)
        structures = load_structures(settings.data.beside(data))
        start = structures[share_out(len(structures), settings.split)["test"][0]]
    ase.io.write(folder / "start.xyz", ase.Atoms(start.symbols, start.positions), format="extxyz")
    console.out.print("[bold]ketmap md[/bold]: 1 ps at constant energy, from a configuration that was left out")
    md(
        MdConfig(
            model=str(folder / MODEL),
            structure=str(folder / "start.xyz"),
            ensemble="nve",
            steps=STEPS,
            timestep=TIMESTEP,
            output=str(folder / "md"),
        )
    )
