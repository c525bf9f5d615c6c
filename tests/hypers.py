"""Hyper-parameters that both featomic and ketmap read."""


def featomic_hypers(radius=3.5, width=0.5, sigma=0.3, weight=1.0, max_radial=3, max_angular=3) -> dict:
    """featomic's nested dictionaries, without splines; ``width`` 0: a step."""
    smoothing = {"type": "ShiftedCosine", "width": width} if width else {"type": "Step"}
    return {
        "cutoff": {"radius": radius, "smoothing": smoothing},
        "density": {"type": "Gaussian", "width": sigma, "center_atom_weight": weight},
        "basis": {
            "type": "TensorProduct",
            "max_angular": max_angular,
            "radial": {"type": "Gto", "max_radial": max_radial},
            "spline_accuracy": None,
        },
    }
