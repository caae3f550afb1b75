"""Fallwatch beside what a user would install instead, in one run on one machine: `python -m deploy.bench`."""
