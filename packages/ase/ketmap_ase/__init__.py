"""A fitted model as an ASE calculator, and molecular dynamics with it."""
