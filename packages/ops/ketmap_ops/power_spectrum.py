"""The power spectrum and its explicit derivatives."""

from .reference.power_spectrum import (
    power_spectrum_design,
    power_spectrum_jvp,
    power_spectrum_positions,
    power_spectrum_sums,
    power_spectrum_vjp,
)
from .reference.power_spectrum import power_spectrum as power_spectrum_rows
