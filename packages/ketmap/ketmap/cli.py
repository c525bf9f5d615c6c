"""The command line. What the commands do is in ``ketmap.commands``; it is loaded when a command runs."""

import functools
import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer

_debug = ContextVar("debug", default=False)


def clear_errors(command: Callable) -> Callable:
    """Errors of a command become one clear line and an exit code; ``--debug`` keeps their traceback."""

    @functools.wraps(command)
    def guarded(*arguments, **options):
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return command(*arguments, **options)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            if _debug.get():
                raise
            typer.echo(_one_line(error), err=True)
            raise typer.Exit(1) from None

    return guarded


def _show_warning(message: Warning, *place) -> None:
    from .console import err

    err.print(f"warning: {message}", markup=False)


def _one_line(error: Exception) -> str:
    from ketmap_core.errors import KetmapError

    if isinstance(error, KetmapError | ValueError | OSError | MemoryError | IndexError):
        return f"error: {error}"
    hint = "this may be a mistake in ketmap; --debug shows where it happened"
    return f"error: {type(error).__name__}: {error}\n{hint}"


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Structures to features to potentials to molecular dynamics.",
)
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left at the same place.")]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("ketmap"))
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Structures to features to potentials to molecular dynamics."""
    _debug.set(debug)


def _examples(*lines: str) -> str:
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  [cyan]{line}[/cyan]" for line in lines)


@app.command(
    epilog=_examples(
        "ketmap features soap.yaml structures.xyz",
        "ketmap features soap.yaml a.cif b.cif -o soap.mts",
        "ketmap features soap.yaml trajectories/ -o features",
        "ketmap features soap.yaml trajectories/ --plan",
    )
)
@clear_errors
def features(
    config: Annotated[Path, typer.Argument(help="YAML file: representation, and if you like data, gradients, output.")],
    structures: Annotated[
        list[Path] | None, typer.Argument(help="Files, folders or patterns of structures, instead of data.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File (.mts), or folder of chunks, to write. \\[features.mts]")
    ] = None,
    overwrite: Overwrite = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how many features, bytes and seconds.")] = False,
) -> None:
    """Features of structures, as a TensorMap in a file (.mts) or a folder of chunks, which goes on after stops."""
    from .commands.features import features
    from .commands.features import plan as only_plan

    if plan:
        only_plan(config, structures or [])
        return
    features(config, structures or [], output, overwrite)


@app.command(epilog=_examples("ketmap train ethanol.yaml", "ketmap train ethanol.yaml -o runs/larger --overwrite"))
@clear_errors
def train(
    config: Annotated[Path, typer.Argument(help="YAML file: data, split, targets, representation, regressor.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write [runs/NAME].")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a model; leaves a folder with model, errors, parity plot and the configuration used."""
    from .commands.train import train

    train(config, output, overwrite)


@app.command(
    epilog=_examples(
        "ketmap predict runs/ethanol/model.ketmap new.xyz",
        "ketmap predict model.ketmap a.xyz b.cif -o forces.mts --target forces",
    )
)
@clear_errors
def predict(
    model: Annotated[Path, typer.Argument(help="Model file (model.ketmap).")],
    structures: Annotated[list[Path], typer.Argument(help="Files of structures.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help=".xyz, .extxyz, .traj: everything; .mts: the TensorMap of --target."),
    ] = Path("predicted.xyz"),
    target: Annotated[str, typer.Option(help="For .mts: energy, forces or stress.")] = "energy",
    overwrite: Overwrite = False,
) -> None:
    """Predict energies, forces and stress; prints the errors where the structures carry references."""
    from .commands.predict import predict
    from .datasets import TARGETS

    if target not in TARGETS:
        raise typer.BadParameter(f"found '{target}', expected {', '.join(TARGETS)}", param_hint="--target")
    predict(model, structures, output, target, overwrite)


@app.command(
    epilog=_examples(
        "ketmap md runs/ethanol/model.ketmap start.xyz --steps 2000 --timestep 0.5",
        "ketmap md model.ketmap crystal.cif --ensemble npt --temperature 300 --pressure 1",
        "ketmap md md.yaml --steps 100000",
    )
)
@clear_errors
def md(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL STRUCTURE | CONFIG.yaml", help="Or a YAML file that names both."),
    ],
    ensemble: Annotated[str | None, typer.Option(help="nve, langevin or npt. \\[nve]")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps. \\[2000]")] = None,
    timestep: Annotated[float | None, typer.Option(help="fs. \\[0.5]")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="K, of the bath and of the velocities at start. \\[300]")
    ] = None,
    keep_velocities: Annotated[
        bool | None,
        typer.Option("--keep-velocities", help="Start with the velocities in the structure file."),
    ] = None,
    pressure: Annotated[float | None, typer.Option(help="GPa, for npt. \\[0]")] = None,
    relaxation: Annotated[float | None, typer.Option(help="fs, of the thermostat (langevin, npt). \\[100]")] = None,
    cell_relaxation: Annotated[float | None, typer.Option(help="fs, of the barostat (npt). \\[1000]")] = None,
    fixed_shape: Annotated[
        bool | None,
        typer.Option("--fixed-shape/--free-shape", help="Whether the cell only breathes (npt). \\[fixed]"),
    ] = None,
    every: Annotated[int | None, typer.Option(help="Steps between frames. \\[10]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of velocities and noise. \\[0]")] = None,
    skin: Annotated[float | None, typer.Option(help="Å, of the neighbour list. \\[1]")] = None,
    frame: Annotated[int | None, typer.Option(help="Which frame of the structure file. \\[-1, the last]")] = None,
    trajectory: Annotated[str | None, typer.Option(help="xyz or traj. \\[xyz]")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write. \\[runs/md-ENSEMBLE]")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Run molecular dynamics; leaves trajectory, table, plot and settings. Ctrl-C keeps what was run."""
    given = dict(locals())
    del given["inputs"], given["overwrite"]
    from .commands.md import md
    from .commands.settings import md_settings

    md(md_settings(inputs, {name: value for name, value in given.items() if value is not None}), overwrite)


@app.command(epilog=_examples("ketmap check features.mts", "ketmap check features/"))
@clear_errors
def check(file: Annotated[Path, typer.Argument(help="A TensorMap (.mts), or a folder of chunks.")]) -> None:
    """Tell whether a file or folder is a TensorMap that keeps the contract, and where not (exit code 1)."""
    from .commands.check import check

    if not check(file):
        raise typer.Exit(1)


@app.command(epilog=_examples("ketmap demo", "ketmap demo --folder runs/first"))
@clear_errors
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Folder to write.")] = Path("runs/ethanol"),
    overwrite: Overwrite = False,
) -> None:
    """Train on the data that come with ketmap (ethanol, GFN2-xTB), then run 1 ps of molecular dynamics."""
    from .commands.demo import demo

    demo(folder, overwrite)


def main() -> None:
    """Entry point of the program ``ketmap``; ``--debug`` may stand anywhere."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if len(arguments) < len(sys.argv) - 1:
        arguments = ["--debug", *arguments]
    app(arguments, prog_name="ketmap")


if __name__ == "__main__":
    main()
