"""The model card that lies in every bundle: what the network is, what it eats, what it was measured to do.

A bundle is a folder: `card.toml` beside the model files, each listed with its sha256. Nothing is loaded whose hash
differs from the card.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from device.errors import FallwatchError
from device.labels import LABELS
from device.preprocess import Raster

CARD_FILE = "card.toml"
TFLITE_FILE = "model.tflite"
SHIPPED = Path(__file__).parent / "models"

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class BundleError(FallwatchError):
    """A bundle that must not run; the text says what, where and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Part):
    """The raster and the step the network was trained on."""

    width: int
    height: int
    short_steps: int
    long_steps: int
    step_s: float = Field(gt=0.0, le=1.0)

    def raster(self) -> Raster:
        return Raster(self.width, self.height, self.short_steps, self.long_steps)


class State(_Part):
    """One tensor the network keeps from step to step; in and out share one scale and zero point."""

    name: str
    shape: tuple[int, ...]
    scale: float = Field(gt=0.0)
    zero_point: int = Field(ge=-128, le=127)


class Thresholds(_Part):
    """Where this network's smoothed evidence enters (on) and leaves (off) a state; chosen on training rooms."""

    fall_on: Share
    fall_off: Share
    down_on: Share
    down_off: Share

    @model_validator(mode="after")
    def _enter_high_leave_low(self) -> Thresholds:
        if self.fall_off >= self.fall_on or self.down_off >= self.down_on:
            raise ValueError("a threshold to leave (off) must be below the threshold to enter (on)")
        return self


class Source(_Part):
    """A body of footage the network learned from, and the licence that lets the weights be shipped."""

    name: str
    licence: str
    use: str


class Result(_Part):
    """One measured row; `protocol` says what was held out.

    A row is about windows (auc, recalls) or about incidents of one stage (detected, false_alarms, delays in seconds
    from the body at rest, hours of footage). smoothing_s: 0 for raw scores. numbers: what the network computed in.
    folds: what was held out and by which weights, where other weights than the bundle's were asked.
    """

    protocol: str
    footage: str
    falls: int
    windows: int = 0
    numbers: str = ""
    smoothing_s: float | None = None
    auc: float | None = None
    recall_at_0: float | None = None
    recall_at_5: float | None = None
    recall_at_10: float | None = None
    stage: str | None = None
    detected: int | None = None
    false_alarms: int | None = None
    hours: float | None = None
    delay_median_s: float | None = None
    delay_p90_s: float | None = None
    folds: tuple[str, ...] = ()
    note: str = ""


class Trial(_Part):
    """One way to choose the ranges of one int8 file, and how its scores agreed with float on held-out clips.

    difference_*: of probabilities, over all steps and labels. chosen: the file in the bundle was made this way.
    """

    file: str
    method: str
    chosen: bool
    argmax_agreement: Share
    difference_p50: Share
    difference_p99: Share
    difference_max: Share


class Card(_Part):
    """Everything a stranger must know before this network goes on a wall.

    trained_on: datasets of the table of clips whose footage it learned from; none given: it is not said.
    runtimes: which runtime takes which file. trials: the calibration methods each int8 file was chosen from.
    """

    schema_version: int = Field(alias="schema", ge=1, le=1)
    name: str = Field(pattern=r"^[a-z0-9_.-]+$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    created: str
    family: str
    licence: str
    summary: str
    parameters: int = Field(gt=0)
    mmac_per_step: float = Field(gt=0.0)
    look_back_s: float = Field(ge=3.0)
    warm_steps: int = Field(ge=1)
    labels: tuple[str, ...]
    input: Input
    thresholds: Thresholds
    quantization: dict[str, str | int | float]
    runtimes: dict[str, str] = Field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    states: tuple[State, ...]
    limits: tuple[str, ...]
    data: tuple[Source, ...]
    trained_on: tuple[str, ...] | None = None
    results: tuple[Result, ...]
    files: dict[str, str]

    @model_validator(mode="after")
    def _same_labels(self) -> Card:
        if self.labels != LABELS:
            raise ValueError(f"labels {list(self.labels)} are not this program's {list(LABELS)}")
        return self

    @property
    def model_id(self) -> str:
        """Name, version and the first 8 digits of the int8 model's hash: what every Scores carries."""
        return f"{self.name}-{self.version}-{self.files[TFLITE_FILE][:8]}"


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(bundle: Path) -> Card:
    """The card of a bundle folder, its files checked against their hashes. Raises BundleError with one sentence."""
    path = bundle / CARD_FILE
    try:
        card = Card.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BundleError(f"{bundle}: no {CARD_FILE} there; name the folder of a model bundle") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    except tomllib.TOMLDecodeError as error:
        raise BundleError(f"{path}: not valid TOML ({error}); copy the bundle again") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise BundleError(f"{path}: {where}: {first['msg']}; this bundle was made for another version") from None
    if TFLITE_FILE not in card.files:
        raise BundleError(f"{path}: files: no hash for {TFLITE_FILE}; make the bundle again")
    for name, digest in card.files.items():
        _check_file(bundle / name, digest)
    return card


def _check_file(path: Path, digest: str) -> None:
    if path.name in ("", "..") or path.parent.name == "..":
        raise BundleError(f"{path}: a bundle's files lie in its own folder")
    if not path.is_file():
        raise BundleError(f"{path}: the card lists this file and it is missing; copy the bundle again")
    found = sha256(path)
    if found != digest:
        raise BundleError(
            f"{path}: wrong hash (card {digest[:12]}…, file {found[:12]}…); the file was changed or cut short, "
            "copy the bundle again"
        )


def shipped_bundle() -> Path:
    """The newest bundle that came with this package."""
    bundles = sorted(path.parent for path in SHIPPED.glob(f"*/{CARD_FILE}"))
    if not bundles:
        raise BundleError(f"{SHIPPED}: no model bundle in this installation; install fallwatch again")
    return bundles[-1]
