"""Which OpenGL draws the pictures; must be settled before mujoco is imported."""

from __future__ import annotations

import os


def choose_gl() -> str:
    """Name of the OpenGL back-end MuJoCo will use: the environment's choice, EGL with a GPU, OSMesa without."""
    chosen = os.environ.get("MUJOCO_GL") or ("egl" if os.path.exists("/dev/nvidia0") else "osmesa")
    os.environ["MUJOCO_GL"] = chosen
    # Two renderers share the cores: software OpenGL must not start a thread pool of its own in each.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    return chosen
