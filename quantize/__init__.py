"""Trained network -> int8 model bundle."""
