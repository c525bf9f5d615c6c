"""SOAP power spectrum."""
