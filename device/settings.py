"""Settings of a unit: typed, bounded, documented; read once at start from TOML; an unknown key is refused.

Every option carries its unit, its bounds and one sentence for the owner; docs/settings.md is generated from here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from device.settings_alerts import Alerts
from device.settings_section import Seconds, Section
from device.settings_ways import HomeAssistant, Pager, Relay, Webhook

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Point = tuple[Share, Share]
RuntimeName = Literal["auto", "litert", "tflite-runtime", "onnx-cpu", "onnx-cuda", "onnx-tensorrt"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MINUTES_A_DAY = 24 * 60


def default_folder() -> Path:
    """Where a unit keeps its journal: systemd's StateDirectory, else the user's own state folder (XDG)."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "fallwatch"


def parse_hours(text: str) -> tuple[int, int]:
    """'22:00-06:30' -> minutes of the day (1320, 390). Raises ValueError naming the text."""
    try:
        ends = []
        for part in text.split("-"):
            hour, minute = (int(number) for number in part.split(":"))
            if not (0 <= hour <= 24 and 0 <= minute < 60 and hour * 60 + minute <= MINUTES_A_DAY):
                raise ValueError
            ends.append(hour * 60 + minute)
        start, end = ends
    except ValueError:
        raise ValueError(f'"{text}" is no span of hours; write for example "07:30-21:00"') from None
    return start, end


class Unit(Section):
    """Who this unit is. These names are in every topic: never a resident's name."""

    site: Name = Field("home", description="The building, as in the MQTT topics.")
    id: Name = Field("unit-1", description="This unit, unique on the site; also its MQTT client id.")
    room: Name = Field(
        "room-1",
        description="The room it watches, as staff call it; of several cameras, where the unit is.",
    )


class Camera(Section):
    """What it looks through. For several cameras write one [[cameras]] each instead."""

    id: Name = Field("cam-1", description="This camera, unique on the unit.")
    source: str = Field("/dev/video0", min_length=1, description="A V4L2 device, an rtsp:// address, or a video file.")
    width: int = Field(640, ge=160, le=3840, description="Asked of a V4L2 device, pixels.")
    height: int = Field(480, ge=120, le=2160, description="Asked of a V4L2 device, pixels.")
    fps: float = Field(15.0, ge=5.0, le=60.0, description="Asked of a V4L2 device, frames per second.")
    deadline_s: Seconds = Field(5.0, description="No frame for this long: the camera process is killed and reopened.")
    decoder: str = Field(
        "",
        pattern=r"^[a-z0-9_]{0,32}$",
        description="What decodes an rtsp:// stream: empty for the processor, or what this board has: "
        '"h264_v4l2m2m", "cuda".',
    )
    mask: list[list[Point]] = Field(
        default_factory=list,
        description="Privacy mask: polygons of [x, y] with 0..1 from the top left; blacked out at capture, "
        "before the network and before the disk.",
    )

    @field_validator("mask")
    @classmethod
    def _polygons(cls, polygons: list[list[Point]]) -> list[list[Point]]:
        if any(len(polygon) < 3 for polygon in polygons):
            raise ValueError("a polygon of the privacy mask needs at least 3 points")
        return polygons


class Model(Section):
    """The network."""

    bundle: str = Field(
        "", description="Folder of a model bundle, or its .fwm file; empty: the one that came with this version."
    )
    trusted_keys: list[str] = Field(
        default_factory=list,
        max_length=16,
        description="Files of public keys (docs/quantize.md). With any, a bundle that did not come with this version "
        "must be signed by one of them; without, its hashes alone are checked.",
    )
    threads: int = Field(1, ge=1, le=16, description="Threads of the network; one is enough for one camera.")
    runtime: RuntimeName = Field(
        "auto", description="What runs the network; auto takes the first that is installed (docs/runtimes.md)."
    )


class Fall(Section):
    """Somebody was seen falling. A threshold left out is the one in the model's card."""

    fall_on: Share | None = Field(None, description="Fall evidence (0..1, mean of 0.5 s) that makes a fall suspected.")
    fall_off: Share | None = Field(None, description="Fall evidence below which the fall is over.")
    down_on: Share | None = Field(None, description="Floor evidence (0..1, mean of 0.5 s) that counts as down.")
    down_off: Share | None = Field(None, description="Floor evidence below which it no longer counts as down.")
    land_within_s: Seconds = Field(4.0, description="A suspected fall that is not down within this time is dropped.")
    confirm_s: Seconds = Field(5.0, description="Down this long after a fall: confirmed, the alert rings.")
    still_down_s: Seconds = Field(60.0, description="Down this long: rings again, more urgent.")
    very_long_s: Seconds = Field(600.0, description="Down this long: rings again, most urgent.")
    long_lie_s: Seconds = Field(3600.0, description="A long lie; one hour is the clinical definition (BMJ 2008 a2227).")
    recover_s: Seconds = Field(5.0, description="Upright this long: the person got up, the incident ends.")
    refractory_s: Seconds = Field(3.0, description="No new fall is begun this long after one ended.")

    @model_validator(mode="after")
    def _rising(self) -> Fall:
        if not self.confirm_s < self.still_down_s < self.very_long_s < self.long_lie_s:
            raise ValueError("confirm_s, still_down_s, very_long_s and long_lie_s must rise in this order")
        return self


class Floor(Section):
    """Somebody is on the floor and no fall was seen."""

    confirm_s: Seconds = Field(20.0, description="On the floor this long: the alert rings.")
    floor_on: Share = Field(
        0.7, description="Floor evidence (0..1, mean of 0.5 s) that counts; higher than after a seen fall."
    )
    floor_off: Share = Field(0.5, description="Floor evidence below which it no longer counts.")

    @model_validator(mode="after")
    def _enter_high_leave_low(self) -> Floor:
        if self.floor_off >= self.floor_on:
            raise ValueError("floor_off must be below floor_on")
        return self


class Inactivity(Section):
    """Somebody is in the picture and has not moved."""

    minutes: float = Field(0.0, ge=0.0, le=1440.0, description="No movement for this long rings; 0 switches it off.")
    notice_share: Share = Field(0.5, description="A silent notice is given after this share of the minutes.")
    hours: list[str] = Field(
        default_factory=lambda: ["08:00-21:00"], description='Local hours it watches, for example ["07:30-12:00"].'
    )
    moving: Share = Field(0.002, description="Share of the picture that must change to count as movement.")

    @field_validator("hours")
    @classmethod
    def _hours(cls, hours: list[str]) -> list[str]:
        for text in hours:
            parse_hours(text)
        return hours


class Blind(Section):
    """The unit cannot see. A fault, latched, with its cause."""

    no_frames_s: Seconds = Field(5.0, description="No frame for this long.")
    frozen_s: Seconds = Field(30.0, description="The same picture, pixel for pixel, for this long.")
    black_s: Seconds = Field(30.0, description="A black or blank picture for this long.")
    dark: Share = Field(0.02, description="Mean light below which a picture counts as black.")
    clear_s: Seconds = Field(10.0, description="A good picture for this long clears the fault.")


class Mqtt(Section):
    """The broker that carries alerts to people."""

    enabled: bool = Field(True, description="Off only for a unit that must not alert, such as a bench set-up.")
    host: str = Field("localhost", min_length=1, description="Name or address of the broker.")
    port: int = Field(1883, ge=1, le=65535, description="1883 plain, 8883 with TLS.")
    protocol: Literal["5", "3.1.1"] = Field("5", description="3.1.1 only for a broker that knows no MQTT 5.")
    username: str = Field("", description="Empty: no user name is sent.")
    password_file: str = Field("", description="File that holds the password; passwords never stand in the settings.")
    tls: bool = Field(False, description="Encrypt and check the broker's certificate.")
    ca_file: str = Field("", description="Certificate authority of the site; empty: the system's.")
    cert_file: str = Field("", description="This unit's certificate.")
    key_file: str = Field("", description="This unit's private key.")
    keepalive_s: int = Field(15, ge=5, le=120, description="A dead link is noticed after about 1.5 times this.")

    @model_validator(mode="after")
    def _pair(self) -> Mqtt:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together: give both or neither")
        if (self.ca_file or self.cert_file) and not self.tls:
            raise ValueError("certificates are given but tls is off: write tls = true")
        return self


class Store(Section):
    """What is kept on this unit's disk."""

    folder: str = Field("", description="Folder of journal and clips; empty: the system's state folder.")
    cap_mb: int = Field(2000, ge=20, description="Clips never take more than this; the oldest go first.")
    reserve_mb: int = Field(50, ge=1, description="Disk space that clips never touch, so that an alert always fits.")

    def path(self) -> Path:
        return Path(self.folder).expanduser() if self.folder else default_folder()


class Recorder(Section):
    """The clip of an incident."""

    enabled: bool = Field(True, description="Off: incidents are journalled with their scores and without pictures.")
    pre_s: float = Field(10.0, ge=0.0, le=60.0, description="Seconds kept from before the incident began.")
    post_s: float = Field(15.0, ge=1.0, le=120.0, description="Seconds recorded after it was confirmed.")
    width: int = Field(640, ge=160, le=1920, description="Clips are shrunk to this width, pixels.")


class Console(Section):
    """The web page of this unit."""

    host: str = Field("127.0.0.1", description="Loopback only, until the page has a login.")
    port: int = Field(8710, ge=1, le=65535, description="http://127.0.0.1:8710/")

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if host not in LOOPBACK:
            raise ValueError("the page has no login yet and is bound to loopback: 127.0.0.1, ::1 or localhost")
        return host


class RoomCamera(Camera):
    """One of several cameras: what it looks through, its room, and what holds in that room alone."""

    id: Name = Field(description="This camera, unique on the unit.")
    room: Name = Field(description="The room it watches, as staff call it.")
    source: str = Field(min_length=1, description="A V4L2 device, an rtsp:// address, or a video file.")
    fall: Fall | None = None
    floor: Floor | None = None
    inactivity: Inactivity | None = None
    blind: Blind | None = None
    recorder: Recorder | None = None


PER_CAMERA = ("fall", "floor", "inactivity", "blind", "recorder")
"""Sections that a camera may have of its own: [cameras.fall] below its [[cameras]]; keys left out are the unit's."""

MOST_CAMERAS = 32
"""Far above what a board's cores or its network carry; a longer list is a mistake."""


class Settings(Section):
    """Everything a unit can be told."""

    unit: Unit = Unit()
    camera: Camera = Camera()
    cameras: list[RoomCamera] = Field(default_factory=list, max_length=MOST_CAMERAS)
    model: Model = Model()
    fall: Fall = Fall()
    floor: Floor = Floor()
    inactivity: Inactivity = Inactivity()
    blind: Blind = Blind()
    mqtt: Mqtt = Mqtt()
    alerts: Alerts = Alerts()
    store: Store = Store()
    recorder: Recorder = Recorder()
    console: Console = Console()
    homeassistant: HomeAssistant = HomeAssistant()
    webhook: Webhook = Webhook()
    relay: Relay = Relay()
    pager: Pager = Pager()

    @model_validator(mode="after")
    def _each_camera_once(self) -> Settings:
        if self.cameras and "camera" in self.model_fields_set:
            raise ValueError("[camera] and [[cameras]] do not go together: write every camera as a [[cameras]]")
        names = [camera.id for camera in self.cameras]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'two cameras are called "{twice}": give each [[cameras]] an id of its own')
        return self

    def views(self) -> tuple[Settings, ...]:
        """One Settings for each camera, as if it were the unit's only one: its room, its source, its policy."""
        return tuple(self._view(camera) for camera in self.cameras) or (self,)

    def _view(self, camera: RoomCamera) -> Settings:
        own = {name: section for name in PER_CAMERA if (section := getattr(camera, name)) is not None}
        unit = self.unit.model_copy(update={"room": camera.room})
        return self.model_copy(update={"unit": unit, "camera": camera, "cameras": [], **own})


def inherit(table: dict[str, Any]) -> dict[str, Any]:
    """A settings table in which each camera's own sections are whole: keys left out there are the unit's.

    table: as TOML gives it, not yet judged; whatever is not as it should be stays for the judge.
    """
    cameras = table.get("cameras")
    if not isinstance(cameras, list):
        return table
    return {**table, "cameras": [_inheriting(camera, table) for camera in cameras]}


def _inheriting(camera: Any, table: dict[str, Any]) -> Any:
    if not isinstance(camera, dict):
        return camera
    whole = {
        name: {**table[name], **camera[name]}
        for name in PER_CAMERA
        if isinstance(camera.get(name), dict) and isinstance(table.get(name), dict)
    }
    return {**camera, **whole}
