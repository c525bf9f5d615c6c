"""Signatures of the operators, the same that the native library declares (a test compares them)."""

_TABLE = "Tensor table, float spacing, float cutoff, float width"

SCHEMAS = {
    "instruction_set": "() -> str",
    "group": "(Tensor first, Tensor second, Tensor shifts, Tensor vectors, Tensor rank, Tensor channel, "
    "int n_centers, int n_channels) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    "expand": f"(Tensor vectors, Tensor starts, Tensor own, {_TABLE}, float center_weight) -> Tensor",
    "expand_vjp": f"(Tensor grad, Tensor vectors, Tensor starts, {_TABLE}) -> Tensor",
    "expand_jacobian": f"(Tensor vectors, Tensor starts, Tensor own, {_TABLE}) -> Tensor",
    "soap_energy": "(Tensor positions, Tensor cells, Tensor system, Tensor rank, Tensor centers, Tensor starts, "
    f"Tensor neighbors, Tensor shifts, Tensor reverse, Tensor own, {_TABLE}, float center_weight, Tensor kind, "
    "Tensor quadratic, bool diagonal) -> (Tensor, Tensor, Tensor, Tensor)",
}
