"""Linear models on TensorMaps."""
