"""The figures of benchmarks/results as one page: a table, where the time goes, and the notes.

Writes docs/benchmarks.md (or ``--page``), so that no figure is copied by hand.
"""

import argparse
import json
from pathlib import Path

from run_all import NAMES

HERE = Path(__file__).parent
TITLES = {
    "expansion_kernel": "Spherical expansion: the kernel alone",
    "expansion": "Spherical expansion: structures to TensorMap",
    "bases": "Spherical expansion: every basis and density",
    "by_pair": "Spherical expansion by pair: structures to TensorMap",
    "radial_spectrum": "Radial spectrum: structures to TensorMap",
    "power_spectrum": "Power spectrum: structures to TensorMap",
    "gradients": "Explicit position gradients of the power spectrum",
    "md_step": "One step of molecular dynamics",
    "snap": "Silicon on one core against SNAP",
    "small": "A small molecule",
    "large": "A large structure",
    "lode": "Long-range field",
    "ionic_md": "Dynamics of a salt with long range: what is conserved",
    "threads": "One thread and two",
    "cg_product": "Coupled products: the kernel alone",
    "lambda_soap": "λ-SOAP: structures to TensorMap, and contracted gradients",
    "correlations": "Density correlations of third order: TensorMap to TensorMap",
    "nice": "NICE: contraction up to ν = 4 on random methane",
    "descriptors": "Symmetry functions, matrices, distances",
    "channels": "Alchemical channels: 25 elements at the cost of four",
}
HEAD = """# Benchmarks

Medians of alternating runs in one process, written by the programs in `benchmarks/`
(`python benchmarks/run_all.py`). "Ratio" says how many times longer the peer takes. Hyper-parameters unless
said otherwise: cutoff 5 Å, σ = 0.3 Å, `max_radial` 7, `max_angular` 6; float64 on a CPU.
"""


def figure(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {figure(entry)}" for name, entry in value.items())
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def table(rows: list[dict]) -> list[str]:
    """One line per row and peer; what else was measured stands below."""
    lines = ["| case | ketmap | peer | | ratio | aim |", "|---|--:|---|--:|--:|--:|"]
    below = []
    for row in rows:
        aim = "" if row["aim"] is None else f"{row['aim']}" + (" ×" if isinstance(row["aim"], int | float) else "")
        ours = f"{figure(float(row['ketmap']))} {row['unit']}"
        for peer in row["peers"] or [""]:
            theirs, ratio = (row["peers"][peer], row["ratios"][peer]) if peer else ("", "")
            times = f"{ratio:.1f} ×" if peer else ""
            lines.append(f"| {row['case']} | {ours} | {peer} | {figure(theirs)} | {times} | {aim} |")
        known = ("case", "unit", "ketmap", "peers", "ratios", "aim")
        more = {name.replace("_", " "): value for name, value in row.items() if name not in known}
        if more:
            below.append(f"* {row['case']}: " + "; ".join(f"{name}: {figure(value)}" for name, value in more.items()))
    return [*lines, "", *below, ""]


def page(results: list[dict]) -> str:
    machines = {json.dumps(result["machine"] | {"load": None}): result for result in results}
    lines = [HEAD]
    for result in machines.values():
        machine, versions = result["machine"], result["versions"]
        simd = ", ".join(machine["simd"])
        lines.append(f"Machine: {machine['cpu']}, {machine['cores']} cores ({simd}), {machine['system']}.")
        lines.append("Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".\n")
    for result in results:
        lines += [f"## {TITLES[result['name']]}", "", f"`{result['command']}`, {result['date']}", ""]
        lines += table(result["rows"])
        lines += [f"{note}\n" for note in result["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder of the JSON files")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/benchmarks.md", help="page to write")
    given, _ = parser.parse_known_args()
    paths = [given.output / f"{name}.json" for name in NAMES]
    results = [json.loads(path.read_text()) for path in paths if path.exists()]
    if not results:
        raise SystemExit(f"no figures in {given.output}; run benchmarks/run_all.py first")
    given.page.write_text(page(results))
    print(f"{given.page}: {len(results)} of {len(NAMES)} programs")


if __name__ == "__main__":
    main()
