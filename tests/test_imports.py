"""What runs on the wall stays small: importing device brings in no training or conversion library."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import device
from tests.conftest import REPO

NEVER_ON_A_UNIT = {"torch", "onnx", "tensorflow", "jax", "matplotlib", "training", "quantize", "deploy"}
ONLY_WITH_THE_PAGE = {"fastapi", "starlette", "uvicorn", "amqtt"}
IMPORT_AND_TELL = """
import importlib, json, sys
for name in {}:
    importlib.import_module(name)
print(json.dumps([*sys.modules]))
"""


def modules_of_device() -> list[str]:
    found = {module.name for module in pkgutil.walk_packages(device.__path__, "device.")}
    return sorted(name for name in found if not name.endswith("__main__"))


def modules_of_the_watch() -> list[str]:
    """All of device but the page, which is a process of its own and comes with the `console` extra."""
    return [name for name in modules_of_device() if not name.startswith("device.console.")]


def after_importing(modules: list[str], interpreter: str = sys.executable, cwd: Path = REPO) -> set[str]:
    """The top-level modules that a fresh interpreter, started in `cwd`, holds once it has imported these."""
    script = IMPORT_AND_TELL.format(modules)
    told = subprocess.run([interpreter, "-c", script], cwd=cwd, check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in json.loads(told.stdout)}


def test_all_of_device_brings_in_nothing_a_wall_does_not_need() -> None:
    assert {"device.settings_file", "device.loop", "device.console.app"} <= set(modules_of_device())
    assert after_importing(modules_of_device()) & NEVER_ON_A_UNIT == set()


def test_the_watch_does_without_what_the_page_needs() -> None:
    assert after_importing(modules_of_the_watch()) & (NEVER_ON_A_UNIT | ONLY_WITH_THE_PAGE) == set()


def test_the_question_can_be_answered_with_yes() -> None:
    assert "fastapi" in after_importing(["device", "fastapi"])
