"""`fallwatch bench` and its rivals: what is measured is what runs on the wall, and turns are shared out fairly."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.bench.__main__ import Entry, compare, entries, markdown
from deploy.bench.architectures import MobileNetV2, MobileNetV3Large, R2Plus1D18
from deploy.bench.ours import STEPS
from device.bench import loop, machine, report
from device.bench.latency import ALERT_S, ALERTS
from device.bench.source import ENCODED_S, FPS, HEIGHT, WIDTH, make_source
from device.bench.watched import Order
from device.card import shipped_bundle
from device.cli import main
from device.errors import FallwatchError
from device.footage import describe, read_footage
from tests.conftest import REPO


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("bench") / "film.mp4", 2 * ENCODED_S)


def test_the_film_is_joined_to_any_length_without_a_seam_in_time_or_picture(film: Path) -> None:
    assert describe(film).duration_s == pytest.approx(2 * ENCODED_S, abs=0.1)
    kept = {}
    for frame in read_footage(film, wanted=lambda t: round(t * FPS) % (ENCODED_S * FPS) in (0, 1, 99)):
        assert frame.t == pytest.approx(frame.id / FPS, abs=1e-3)
        kept[frame.id] = frame.pixels
    assert kept[0].shape == (HEIGHT, WIDTH, 3)
    half = ENCODED_S * FPS
    for index in (0, 1, 99):
        assert np.array_equal(kept[index], kept[index + half])
    assert np.mean(kept[0] != kept[99]) > 0.1


def test_a_unit_over_two_cameras_says_what_each_step_and_each_process_takes(film: Path) -> None:
    said = loop.measure(Order(str(film), 2, 1.0, None, str(shipped_bundle())))
    assert said["cameras"] == 2
    assert said["steps"] > 0
    assert said["loop_ms"] > 0.3  # the network alone takes this much
    assert said["capture_ms"] > 0.3
    assert said["first_score_s"] > said["first_cpu_s"] * 0.5 > 0.0
    memory = said["memory_mb"]
    assert memory["rss"] > memory["pss"] > memory["private"] > 20.0
    assert said["capture_mb"]["private"] < said["capture_mb"]["pss"] < 0.7 * said["capture_mb"]["rss"]
    alone = said["unit_mb"]["rss"] + said["server_mb"]["rss"]
    assert alone + 2 * said["capture_mb"]["rss"] == pytest.approx(memory["rss"], rel=0.05)
    one = loop.measure(Order(str(film), 1, 1.0, None, str(shipped_bundle())))
    assert one["server_mb"] is None
    assert one["first_cpu_s"] > 0.3  # Python and PyAV for the capture process among it


def test_a_unit_that_never_sees_anything_is_no_figure() -> None:
    with pytest.raises(FallwatchError, match="never came to be measured"):
        loop.measure(Order("/nowhere.mp4", 1, 0.0, None, "/no/bundle"))


def test_the_search_for_the_cameras_of_a_core_stops_between_what_it_carries_and_what_it_drops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pretended(order: Order) -> dict[str, Any]:
        if order.cameras > 20:
            raise FallwatchError("never settled")
        return {"kept_up": 1.0 if order.cameras <= 13 else 0.9}

    monkeypatch.setattr(loop, "measure", pretended)
    found = loop.cameras_per_core(Path("film"), Path("bundle"), 7.0, lambda text: None)
    assert found["by_cost"] == pytest.approx(14.3, abs=0.05)
    assert found["carried"] <= 13 < found["dropped_at"]
    assert found["dropped_at"] - found["carried"] <= 2
    slow = loop.cameras_per_core(Path("film"), Path("bundle"), 2.0, lambda text: None)
    assert slow["carried"] <= 13 < slow["dropped_at"]


def test_the_network_is_timed_on_every_runtime_that_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "network", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["runtime"] for row in found["network"]} >= {"litert", "onnx-cpu"}
    assert all(0 < row["median_ms"] <= row["p95_ms"] for row in found["network"])
    assert 0.0 < found["int8"]["share"] < 1.5
    assert found["int8"]["gmac_s"] == pytest.approx(found["model"]["mmac"] / found["network"][0]["cpu_ms"], rel=0.01)
    assert found["machine"]["cores"] >= 1


def test_alerts_are_timed_one_by_one_through_disk_and_broker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "alert", "--json"]) == 0
    took = json.loads(capsys.readouterr().out)["latency"]
    assert took["alerts"] == ALERTS
    assert 0.0 < took["median_ms"] <= took["p95_ms"] <= took["worst_ms"] < 1000.0 * ALERT_S


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "alert", "--broker", "localhost"], "write host:port"),
        (["--only", "network", "--threads", "0"], "a number from 1 to 16"),
    ],
)
def test_wrong_use_is_answered_in_a_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert says in capsys.readouterr().err


def found() -> dict[str, Any]:
    memory = {"rss": 150.0, "pss": 80.0, "private": 60.0}
    run = {"cameras": 1, "loop_ms": 3.0, "capture_ms": 4.0, "memory_mb": memory, "kept_up": 1.0}
    return {
        "machine": {**machine.machine(), "load": 0.1, "cores": 4},
        "model": {"id": "m", "mmac": 8.0},
        "loop": {
            "one": run,
            "several": {**run, "cameras": 4, "kept_up": 0.6},
            "share_of_a_core": {"1": 0.07, "4": None},
            "first_score_s": 2.1,
            "first_score_cpu_s": 1.0,
            "further_camera_mb": {"rss": 48.0, "pss": 22.0, "private": 18.0},
        },
        "no_latency": "no broker here",
    }


def test_the_table_says_when_a_figure_is_not_to_be_trusted(tmp_path: Path) -> None:
    one = found()
    text = report.table(one)
    assert "BUSY" not in text
    assert "7.0 %" in text
    assert "not known  (took" in text
    assert "took 60 % of its steps: overloaded" in text
    assert "not measured: no broker here" in text
    one["machine"]["load"] = 9.0
    assert "BUSY: load 9.0 on 4 cores" in report.table(one)
    report.picture(one, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("network", "parameters"), [(R2Plus1D18, 31_505_325), (MobileNetV2, 3_504_872), (MobileNetV3Large, 5_483_032)]
)
def test_the_rivals_are_the_networks_of_their_papers(network: Any, parameters: int) -> None:
    """Parameters as torchvision's model pages state them for 400 or 1000 classes; only the last layer is smaller."""
    made = network()
    features, classes = (512, 400) if network is R2Plus1D18 else (1280, 1000)
    assert sum(one.numel() for one in made.parameters()) + (features + 1) * (classes - 7) == parameters


BUSY = "from deploy.bench.worker import serve\nserve(lambda count: sum(range({size} * count)), 1)"


def test_rivals_take_turns_and_the_slower_one_shows_as_many_times_the_first() -> None:
    python = Path(sys.executable)
    rows = [Entry(f"{size}", "loop", 5, python, ["-c", BUSY.format(size=size)]) for size in (200_000, 2_000_000)]
    compare(rows, 5)
    assert [len(row.cpu_ms) for row in rows] == [5, 5]
    assert 4.0 < rows[1].ms / rows[0].ms < 25.0
    assert markdown(rows, 5).splitlines()[-1].startswith("| 2000000 | loop |")
    assert all(row.process is not None and row.process.poll() is not None for row in rows)


def test_our_own_step_is_timed_in_every_form_and_without_torch_in_those_that_need_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = [row.command[-1] for row in entries(Path("film"), rivals=False)]
    assert every == [*STEPS, "pipeline"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert [row.command[-1] for row in entries(Path("film"), rivals=False)] == [
        "int8",
        "onnx-int8",
        "onnx-float",
        "pipeline",
    ]
    assert "no torch here" in capsys.readouterr().err
    picture = np.random.default_rng(1).integers(0, 255, (72, 96, 3)).astype(np.uint8)
    for form in ("int8", "onnx-int8", "onnx-float", "torch"):
        assert np.sum(STEPS[form](shipped_bundle())(picture)) == pytest.approx(1.0, abs=1e-5)


def test_a_rival_that_dies_is_named_with_the_command_to_try() -> None:
    with pytest.raises(FallwatchError, match=r"gone: ended; try it by hand: .*-c"):
        compare([Entry("gone", "item", 1, Path(sys.executable), ["-c", "raise SystemExit(3)"])], 1)


def test_the_page_shows_the_command_that_makes_its_table() -> None:
    page = (REPO / "docs" / "performance.md").read_text(encoding="utf-8")
    assert "python -m deploy.bench" in page
    assert "| what | one item is | ms of processor time | times our int8 step |" in page
