"""Rivals side by side in one run, taking turns: `python -m deploy.bench` prints the table of docs/performance.md."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.bench.machine import machine
from device.bench.source import make_source
from device.errors import FallwatchError

REPO = Path(__file__).parent.parent.parent
MEDIAPIPE = "mediapipe==0.10.21"
"""The last version whose wheel brings the pose model along and whose `solutions` a user finds described everywhere."""

ENVIRONMENT = REPO / ".venv" / "rivals" / "mediapipe"
ROUNDS = 9
FILM_S = 30


@dataclass
class Entry:
    """One row. per: what one item is. items: done in one turn. command: arguments after the interpreter."""

    name: str
    per: str
    items: int
    python: Path
    command: list[str]
    cpu_ms: list[float] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(self.python), *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=REPO,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "2"},
        )

    def answer(self) -> dict[str, Any]:
        """Its next line. Raises FallwatchError when it has ended."""
        assert self.process is not None
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise FallwatchError(f"{self.name}: ended; try it by hand: {self.python} {' '.join(self.command)}")
        return dict(json.loads(line))

    def turn(self) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{self.items}\n")
        self.process.stdin.flush()
        self.cpu_ms.append(self.answer()["cpu_ms"])

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def ms(self) -> float:
        return statistics.median(self.cpu_ms)


def mediapipe_python() -> Path:
    """The interpreter of MediaPipe's own environment, made on first use. Raises FallwatchError."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "ready").exists():
        print(f"making an environment for {MEDIAPIPE}: {ENVIRONMENT}", file=sys.stderr)
        for command in (
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            [str(python), "-m", "pip", "install", "-q", MEDIAPIPE],
        ):
            if subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                raise FallwatchError(f"{MEDIAPIPE} cannot be installed here; its rows are left out ({command[-1]})")
        (ENVIRONMENT / "ready").touch()
    return python


def entries(film: Path, rivals: bool) -> list[Entry]:
    """Every row of the table; without MediaPipe where it cannot be installed, without torch where it is not."""
    torch = importlib.util.find_spec("torch") is not None
    if not torch:
        print("no torch here; its rows are left out (pip install 'fallwatch[quantize]')", file=sys.stderr)
    rows = _ours(film, torch)
    if not rivals:
        return rows
    try:
        python, script = mediapipe_python(), ["-m", "deploy.bench.rival_mediapipe", str(film)]
        rows += [
            Entry("MediaPipe Pose", "picture", 20, python, [*script, "network"]),
            Entry("MediaPipe Pose, film to pose", "step", 20, python, [*script, "pipeline"]),
        ]
    except FallwatchError as error:
        print(error, file=sys.stderr)
    own, script = Path(sys.executable), ["-m", "deploy.bench.rival_torch"]
    drawn = [
        Entry("R(2+1)D-18, float, torch", "clip of 16", 1, own, [*script, "r2plus1d_18"]),
        Entry("MobileNetV2, float, torch", "picture", 4, own, [*script, "mobilenet_v2"]),
        Entry("MobileNetV3-Large, float, torch", "picture", 6, own, [*script, "mobilenet_v3_large"]),
    ]
    return [*rows, *(drawn if torch else [])]


def _ours(film: Path, torch: bool) -> list[Entry]:
    """Our own step in every form, int8 on the unit's runtime first, and the whole loop."""
    own, script = Path(sys.executable), ["-m", "deploy.bench.ours", str(film)]
    forms = [("int8", "int8"), ("int8, ONNX Runtime", "onnx-int8"), ("float, ONNX Runtime", "onnx-float")]
    if torch:
        forms[1:1] = [("float", "float")]
        forms.append(("float, torch", "torch"))
    rows = [
        Entry(f"fallwatch step, {name}", "picture", 20 if form == "torch" else 200, own, [*script, form])
        for name, form in forms
    ]
    return [*rows, Entry("fallwatch, film to incident", "step", 60, own, [*script, "pipeline"])]


def compare(rows: list[Entry], rounds: int) -> None:
    """All start, then each has its turn, round after round."""
    try:
        for row in rows:
            row.start()
        for row in rows:
            row.answer()
        for number in range(rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for row in rows:
                row.turn()
        print(file=sys.stderr)
    finally:
        for row in rows:
            row.end()


def markdown(rows: list[Entry], rounds: int) -> str:
    """The table of docs/performance.md."""
    one, here = rows[0].ms, machine()
    lines = [
        f"{here['processor']}, {here['cores']} cores, load {here['load']}; "
        f"processor time, median of {rounds} rounds in turn.",
        "",
        "| what | one item is | ms of processor time | times our int8 step |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {row.name} | {row.per} | {row.ms:.2f} | {row.ms / one:.1f} |" for row in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument("--ours", action="store_true", help="without rivals: nothing is installed")
    parser.add_argument("--json", action="store_true", help="the rows as one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fallwatch-bench-") as folder:
        film = make_source(Path(folder) / "film.mp4", FILM_S)
        rows = entries(film, not args.ours)
        try:
            compare(rows, args.rounds)
        except FallwatchError as error:
            print(error, file=sys.stderr)
            return 1
    found = {row.name: {"per": row.per, "cpu_ms": round(row.ms, 3)} for row in rows}
    print(json.dumps({"machine": machine(), "rows": found}) if args.json else markdown(rows, args.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
