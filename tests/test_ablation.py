"""The comparison of variants: each differs in one thing, figures as by hand, nothing is done twice."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.clips_made import render
from training.ablation import __main__ as program
from training.ablation import comparison
from training.ablation.comparison import FIGURES, Plan, command, compare, finished
from training.ablation.figures import Accuracy, Cost, Figures, delay_s
from training.ablation.report import draw, markdown, noise
from training.ablation.variants import BASELINE, SECOND_SEED, VARIANTS, Variant, chosen
from training.channels import CHANNEL_NAMES
from training.networks import AUXILIARY, FAMILIES, parse_network
from training.scoring import WindowFigures

SETTINGS = {"steps": 5, "clips": 8}


def figures(name: str, auc: float) -> Figures:
    windows = WindowFigures(10, 40, auc, 0.5, 0.75, 1.0)
    raw, smoothed = Accuracy(0.0, windows, 8, 0.7, 1.25), Accuracy(0.5, windows, 0, math.nan, math.nan)
    return Figures(name, (raw, smoothed), Cost(215_000, 8_000_000, "4.6 s", "states", "full int8", 1.0), 5, 8)


def variant(name: str) -> Variant:
    return chosen([name])[0]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path, ("synth", "more"), (), 5, 8, 1)


def test_each_variant_differs_from_the_baseline_in_one_thing_and_can_be_built() -> None:
    assert len({one.name for one in VARIANTS}) == len(VARIANTS)
    usual = variant(BASELINE)
    fields = ("network", "aux", "drop", "share", "seed")
    for one in VARIANTS:
        differs = [name for name in fields if getattr(one, name) != getattr(usual, name)]
        assert len(differs) == (one.name != BASELINE), one.name
        parse_network(one.network, one.aux.split(",") if one.aux else ())


def test_every_family_input_and_head_has_its_row() -> None:
    assert {one.network.partition(":")[0] for one in VARIANTS} == set(FAMILIES)
    assert {one.drop for one in VARIANTS} - {""} == set(CHANNEL_NAMES)
    assert {one.aux for one in VARIANTS} >= {*AUXILIARY, ",".join(AUXILIARY)}


def test_a_variant_is_trained_on_rendered_clips_alone(plan: Plan) -> None:
    said = command(variant("clips-quarter"), plan, resume=False)
    assert said[:3] == [sys.executable, "-m", "training.train"]
    text = " ".join(said)
    assert "--synth synth --synth more --real 0 --steps 5 --threads 1 --batch 0" in text
    assert "--network r2plus1d --seed 1 --max-clips 2" in text
    assert "--clips" not in said
    assert "--resume" not in said
    assert command(variant("no-grey"), plan, resume=True)[-3:] == ["--drop-channel", "grey", "--resume"]
    assert "--aux mask,presence,height" in " ".join(command(variant("aux-all"), plan, resume=False))


def test_delay_is_from_the_loss_of_balance_to_the_first_step_above_the_level() -> None:
    t = np.arange(60) / 10
    score = np.zeros(60)
    score[[5, 27, 30, 31]] = 0.9
    score[25] = 0.5
    assert delay_s(t, score, (2.0, 3.0), 0.5) == pytest.approx(0.7)
    assert delay_s(t, score, (2.0, 3.0), 0.9) is None
    assert delay_s(t, score, None, 0.5) is None
    assert delay_s(t, score, (0.6, 1.0), 0.5) == pytest.approx(-0.1), "a score may rise before the marked start"


def test_noise_is_what_two_seeds_of_the_baseline_differ_by() -> None:
    one, other = (variant(BASELINE), figures(BASELINE, 0.98)), (variant(SECOND_SEED), figures(SECOND_SEED, 0.95))
    assert noise([one], 0) is None
    assert noise([one, other], 0) == pytest.approx(0.03)
    assert "nothing says how large a difference chance makes" in markdown([one], SETTINGS)
    assert "differ by 0.030 in window AUC raw" in markdown([one, other], SETTINGS)


def test_the_page_has_a_row_a_variant_and_a_row_a_network(tmp_path: Path) -> None:
    found = [(variant(name), figures(name, 0.98)) for name in (BASELINE, SECOND_SEED, "tpool")]
    text = markdown(found, SETTINGS)
    assert "Every variant: 5 steps on rendered" in text
    assert "Every variant: 5 steps of 8 windows on rendered" in markdown(found, {**SETTINGS, "batch": 8})
    assert (
        "| `tpool` | 2-D network, temporal pooling | 0.980 / 0.980 | 0.50 / 0.50 | 0.75 / 0.75 | 1.00 / 1.00 "
        "| 0.7 / - | 1.2 / - |" in text
    )
    assert text.count("| `r2plus1d` |") == 1
    assert "10 falls and 40 everyday windows" in text
    draw(found, tmp_path / "dots.png")
    assert (tmp_path / "dots.png").read_bytes().startswith(b"\x89PNG")
    assert markdown([], SETTINGS) == "# Ablation\n\nNo variant is finished.\n"


def test_figures_come_back_from_disk_as_they_were_with_nothing_for_nothing(plan: Plan) -> None:
    folder = plan.out / BASELINE
    folder.mkdir()
    assert finished(variant(BASELINE), plan) is None
    comparison.keep(figures(BASELINE, 0.9), folder)
    assert "NaN" not in (folder / FIGURES).read_text()
    back = finished(variant(BASELINE), plan)
    assert back is not None
    assert math.isnan(back.accuracy[1].delay_p90_s)
    assert (back.accuracy[0], back.cost) == (figures(BASELINE, 0.9).accuracy[0], figures(BASELINE, 0.9).cost)
    (folder / FIGURES).write_text('{"name": "baseline"')
    with pytest.raises(ValueError, match=r"figures.json: no figures of a variant .* delete it to measure it again"):
        finished(variant(BASELINE), plan)


def test_what_is_finished_is_not_done_again_and_a_failure_does_not_stop_the_rest(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def finish(one: Variant, plan: Plan) -> Figures | None:
        done.append(one.name)
        if one.name == "tpool":
            return None
        (plan.out / one.name).mkdir()
        made = figures(one.name, 0.9)
        comparison.keep(made, plan.out / one.name)
        return made

    monkeypatch.setattr(comparison, "finish", finish)
    assert compare(chosen([BASELINE, "tpool", "c3d"]), plan) == ["tpool"]
    assert compare(chosen([BASELINE, "tpool", "c3d"]), plan) == ["tpool"]
    assert done == [BASELINE, "tpool", "c3d", "tpool"]
    said = json.loads((plan.out / "ablation.json").read_text())
    assert [row["name"] for row in said["variants"]] == [BASELINE, "c3d"]
    assert said["variants"][0]["accuracy"][1]["delay_median_s"] is None


def test_a_comparison_goes_on_only_with_what_it_was_begun_with(plan: Plan, tmp_path: Path) -> None:
    comparison.begin(plan)
    comparison.begin(dataclasses.replace(plan, threads=2))
    with pytest.raises(ValueError, match="was begun with steps 5; go on with that, or name another --out"):
        comparison.begin(dataclasses.replace(plan, steps=9))
    assert comparison.clips_there(tmp_path, [tmp_path]) == 8, "the folder may have grown since"


@pytest.mark.parametrize(
    ("only", "steps", "says"),
    [
        ("tpol", "5", "no variant tpol; there are aux-all, "),
        ("tpool", "0", "--steps 0"),
        ("tpool", "5", "no-such: no such folder; render first"),
    ],
)
def test_wrong_use_is_one_sentence(
    only: str, steps: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("split,dataset,clip,fall,fall_start_s,fall_end_s,on_floor,subject,room,licence\n")
    asked = ["--synth", str(tmp_path / "no-such"), "--clips", str(table), "--steps", steps, "--only", only]
    assert program.main([*asked, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("training.ablation: ")
    assert says in error
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_of_clips_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rendered clip; render first"):
        comparison.clips_there(tmp_path / "out", [tmp_path])
    assert comparison.clips_there(tmp_path / "out", [render(tmp_path / "synth", 3)]) == 3
