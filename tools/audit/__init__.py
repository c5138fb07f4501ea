"""Labels that are probably wrong, and images that two splits share: python -m tools.audit."""
