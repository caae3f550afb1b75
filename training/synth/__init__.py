"""Synthetic clips: physical people in random rooms, with a label for every step that comes from the physics."""

from training.synth.gl import choose_gl

choose_gl()
