"""A site's own authority and a real Mosquitto with the generated files: who gets in, who may say what, who is named."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from deploy.authority import AuthorityError, key_pem, new_authority, new_key, read_request, request
from deploy.broker_files import Member, Placement, Role, acl, mosquitto_conf
from deploy.site import Register, Site, read_register
from device.card import shipped_bundle
from device.cli import main
from device.clock import SystemClock
from device.mqtt import Courier, LinkState
from device.mqtt.certificates import CertificateError, Dates, ending, read_dates
from device.outbox import Outbox
from device.settings import Camera, Mqtt, Settings, Store
from device.unit import Unit
from tests.conftest import eventually, free_port
from tests.footage_made import moving_square, write_video
from tests.incident_samples import incident, open_outbox, put, unit_settings
from tests.mosquitto import Mosquitto

NOW = datetime.now(UTC)
TOPICS_OF_A_UNIT = ("alert/event", "alert/active", "fault/active", "health", "availability")


class SiteMosquitto(Mosquitto):
    """The real broker with exactly the generated mosquitto.conf, and a log beside it."""

    def __init__(self, folder: Path, site: Site) -> None:
        super().__init__(folder)
        self.port = site.register.placement.port
        owner = "user root\n" if os.geteuid() == 0 else ""  # it would become another user, who cannot read tmp_path
        text = (site.folder / "broker" / "mosquitto.conf").read_text()
        self._config.write_text(f"{text}{owner}log_dest file {self.log}\n")

    def reload(self) -> None:
        """As systemctl reload mosquitto does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)


def new_site(folder: Path, broker: tuple[str, ...] = ("127.0.0.1",), days: int | None = None) -> Site:
    """Site home1 in `folder`/site whose files are used where they lie. days: of the broker's certificate."""
    state = folder / "broker"
    state.mkdir(parents=True, exist_ok=True)
    placement = Placement(folder / "site" / "broker", state, free_port())
    site = Site.create(folder / "site", Register("home1", broker, placement), NOW, None)
    if days is not None:
        site.renew_broker(NOW, days)
    return site


def member(site: Site, name: str, role: Role = "unit", days: int = 30) -> dict[str, Any]:
    """A key and a certificate of this site; the [mqtt] settings that go with them."""
    home = site.folder.parent / name
    home.mkdir(exist_ok=True)
    key = new_key()
    (home / f"{name}.key").write_bytes(key_pem(key))
    (home / f"{name}.csr").write_bytes(request(key, name))
    issued = site.sign(home / f"{name}.csr", role, NOW, days=days, replaces=True)
    return tls(issued / "ca.pem", issued / f"{name}.pem", home / f"{name}.key")


def tls(ca: Path, cert: Path, key: Path) -> dict[str, Any]:
    return {"tls": True, "ca_file": str(ca), "cert_file": str(cert), "key_file": str(key)}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path)


@contextmanager
def open_broker(site: Site) -> Iterator[SiteMosquitto]:
    broker = SiteMosquitto(site.register.placement.state, site)
    with broker:
        yield broker


class Voice:
    """A bare client with a member's certificate: says and hears whatever the broker lets it."""

    def __init__(self, port: int, name: str, mqtt: dict[str, Any], client_id: str = "") -> None:
        self.thrown_off: list[str] = []
        self.heard: list[tuple[str, bytes]] = []
        self._codes: dict[int, int] = {}
        self._granted: set[int | None] = set()
        self._connected = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id or f"{name}-voice", protocol=paho.MQTTv5
        )
        context = ssl.create_default_context(cafile=mqtt["ca_file"])
        context.load_cert_chain(mqtt["cert_file"], mqtt["key_file"])
        self._client.tls_set_context(context)
        self._client.on_connect = lambda *_: self._connected.set()
        self._client.on_disconnect = lambda _c, _u, _f, why, _p: self.thrown_off.append(str(why))
        self._client.on_message = lambda _c, _u, message: self.heard.append((message.topic, bytes(message.payload)))
        self._client.on_publish = lambda _c, _u, mid, code, _p: self._codes.update({mid: code.value})
        self._client.on_subscribe = lambda _c, _u, mid, _codes, _p: self._granted.add(mid)
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Voice:
        self._client.loop_start()
        assert self._connected.wait(10.0), "the broker did not let this member in"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: str = "{}") -> int:
        """The broker's reason code for one message."""
        mid = self._client.publish(topic, payload, qos=1).mid
        eventually(lambda: mid in self._codes, every_s=0.01)
        return self._codes[mid]

    def listen(self, topic: str) -> None:
        mid = self._client.subscribe(topic, qos=1)[1]
        eventually(lambda: mid in self._granted, every_s=0.01)

    def hears(self, topic: str) -> bool:
        return topic in [heard for heard, _ in self.heard]


@contextmanager
def unit(site: Site, folder: Path, name: str = "cam-r12", **mqtt: Any) -> Iterator[tuple[Courier, Outbox]]:
    """A courier of the unit `name` at this site's broker, and the outbox of the thread that sees."""
    settings = unit_settings(folder, site.register.placement.port, **mqtt)
    settings = settings.model_copy(update={"unit": settings.unit.model_copy(update={"id": name})})
    courier = Courier(settings, folder, SystemClock())
    outbox = open_outbox(folder, courier.spill)
    courier.start()
    try:
        yield courier, outbox
    finally:
        assert courier.stop(5.0), "the courier did not stop"
        outbox.journal.close()


def refusal(site: Site, folder: Path, **mqtt: Any) -> str:
    """What the unit's own link says when there is no way in."""
    with unit(site, folder, **mqtt) as (courier, _):
        eventually(lambda: courier.state is LinkState.REFUSED)
        return courier.error


def test_two_units_and_a_desk_work_end_to_end_over_mutual_tls(site: Site, tmp_path: Path) -> None:
    units = {name: member(site, name) for name in ("cam-r12", "cam-r13")}
    at_desk = member(site, "desk-1", "desk")
    with (
        open_broker(site) as broker,
        Voice(broker.port, "desk-1", at_desk) as desk,
        unit(site, tmp_path / "one", "cam-r12", **units["cam-r12"]) as (first, one),
        unit(site, tmp_path / "two", "cam-r13", **units["cam-r13"]) as (second, two),
    ):
        desk.listen("fallwatch/home1/#")
        falls = {"cam-r12": put(one, incident()), "cam-r13": put(two, incident())}
        for courier in (first, second):
            courier.wake()
        for name in falls:
            eventually(lambda name=name: desk.hears(f"fallwatch/home1/{name}/alert/event"))  # type: ignore[misc]
        told = {json.loads(raw)["alert_id"]: topic for topic, raw in desk.heard if topic.endswith("alert/event")}
        assert {topic.split("/")[2]: alert_id for alert_id, topic in told.items()} == {
            name: fall.id for name, fall in falls.items()
        }
        claim = {"action": "claim", "by": "Anna", "at": "2026-11-22T03:14:07.120Z", "nonce": "abcd-1234"}
        assert desk.say(f"fallwatch/home1/cam-r13/alert/{falls['cam-r13'].id}/ack", json.dumps(claim)) < 0x80
        eventually(lambda: [receipt.action for receipt in second.inbox if receipt.level == "human"] == ["claim"])
        assert [receipt.action for receipt in first.inbox if receipt.level == "human"] == []
        for courier in (first, second):
            assert not [fault for fault in courier.faults.all() if fault["cause"].endswith("_refused")]
        eventually(lambda: one.waiting() == two.waiting() == 0)


def test_a_unit_cannot_publish_for_another_and_does_not_hear_it(site: Site) -> None:
    one, other = member(site, "cam-r12"), member(site, "cam-r13")
    with (
        open_broker(site) as broker,
        Voice(broker.port, "cam-r12", one) as thief,
        Voice(broker.port, "cam-r13", other) as victim,
    ):
        thief.listen("fallwatch/#")
        for topic in TOPICS_OF_A_UNIT:
            assert thief.say(f"fallwatch/home1/cam-r13/{topic}") == 0x87, topic
            assert victim.say(f"fallwatch/home1/cam-r13/{topic}") < 0x80, topic
        assert thief.say("fallwatch/home1/cam-r13/alert/01A/ack") == 0x87, "nor answer its alerts"
        assert thief.say("fallwatch/home2/cam-r12/alert/event") == 0x87, "nor in another house"
        assert victim.say("fallwatch/home1/cam-r13/alert/01A/ack") < 0x80
        assert thief.say("fallwatch/home1/cam-r12/alert/01A/ack") < 0x80
        eventually(lambda: thief.hears("fallwatch/home1/cam-r12/alert/01A/ack"))  # and with it all that came before
        assert not thief.hears("fallwatch/home1/cam-r13/alert/event")
        assert not thief.hears("fallwatch/home1/cam-r13/alert/01A/ack")


@pytest.mark.parametrize("tied", [False, True])
def test_a_member_under_anothers_client_id_throws_it_off_unless_the_id_is_tied_to_the_certificate(
    site: Site, tied: bool
) -> None:
    one, other = member(site, "cam-r12"), member(site, "cam-r13")
    conf = site.folder / "broker" / "mosquitto.conf"
    line = "use_username_as_clientid true"
    assert f"\n#{line}\n" in conf.read_text()
    if tied:
        conf.write_text(conf.read_text().replace(f"#{line}", line))
    with open_broker(site) as broker, Voice(broker.port, "cam-r13", other, "cam-r13") as victim:
        assert victim.say("fallwatch/home1/cam-r13/health") < 0x80
        with Voice(broker.port, "cam-r12", one, "cam-r13") as thief:
            assert thief.say("fallwatch/home1/cam-r13/health") == 0x87, "it speaks for nobody else in either case"
            eventually(lambda: bool(victim.thrown_off) is not tied)
        assert bool(victim.thrown_off) is not tied


def test_a_desk_hears_all_and_can_only_answer(site: Site) -> None:
    at_desk, at_unit = member(site, "desk-1", "desk"), member(site, "cam-r12")
    own = "fallwatch/home1/cam-r12"
    with (
        open_broker(site) as broker,
        Voice(broker.port, "desk-1", at_desk) as desk,
        Voice(broker.port, "cam-r12", at_unit) as wall,
    ):
        for topic in TOPICS_OF_A_UNIT:
            assert desk.say(f"{own}/{topic}") == 0x87, topic
            assert desk.say(f"fallwatch/home1/desk-1/{topic}") == 0x87, "it has no branch of its own either"
        answers = ("alert/01A/ack", "alert/01A/receipt", "staff/set", "privacy/set")
        wall.listen(f"{own}/#")
        for topic in answers:
            assert desk.say(f"{own}/{topic}") < 0x80, topic
            eventually(lambda topic=topic: wall.hears(f"{own}/{topic}"))  # type: ignore[misc]
        desk.listen("fallwatch/#")
        wall.say(f"{own}/alert/event")
        eventually(lambda: desk.hears(f"{own}/alert/event"))


def test_somebody_who_is_on_no_list_may_do_nothing_although_the_site_signed_him(site: Site) -> None:
    known, forgotten = member(site, "cam-r12"), member(site, "cam-r13")
    kept = (site.folder / "broker" / "acl").read_text().partition("# cam-r13")[0]
    (site.folder / "broker" / "acl").write_text(kept)
    with (
        open_broker(site) as broker,
        Voice(broker.port, "cam-r12", known) as unit_12,
        Voice(broker.port, "cam-r13", forgotten) as unit_13,
    ):
        unit_13.listen("fallwatch/#")
        assert unit_13.say("fallwatch/home1/cam-r13/alert/event") == 0x87
        assert unit_12.say("fallwatch/home1/cam-r12/alert/event") < 0x80
        assert unit_13.say("fallwatch/home1/cam-r13/health") == 0x87, "and by now it would have heard"
        assert not unit_13.hears("fallwatch/home1/cam-r12/alert/event")


def test_a_stranger_without_a_certificate_gets_nowhere_and_is_told_what_it_takes(site: Site, tmp_path: Path) -> None:
    with open_broker(site):
        said = refusal(site, tmp_path / "unit", tls=True, ca_file=str(site.folder / "ca.pem"))
        assert "the broker wants a certificate of this unit" in said
        assert "fallwatch provision key" in said
        with unit(site, tmp_path / "plain") as (courier, _):
            eventually(lambda: "hung up before it answered" in courier.error)


def test_an_expired_certificate_is_refused_and_named_with_its_file(site: Site, tmp_path: Path) -> None:
    mine = member(site, "cam-r12", days=-2)
    with open_broker(site):
        said = refusal(site, tmp_path / "unit", **mine)
    assert f"mqtt.cert_file {mine['cert_file']}: has expired" in said
    assert "renew it with `fallwatch provision`" in said


def test_a_certificate_of_another_house_is_refused_and_named(site: Site, tmp_path: Path) -> None:
    mine = member(new_site(tmp_path / "elsewhere"), "cam-r12")
    with open_broker(site):
        said = refusal(site, tmp_path / "unit", **(mine | {"ca_file": str(site.folder / "ca.pem")}))
    assert f"mqtt.cert_file {mine['cert_file']}: is not signed by the authority of this broker" in said


def test_a_certificate_that_was_withdrawn_is_refused_and_named_and_the_others_stay(site: Site, tmp_path: Path) -> None:
    stolen, mine = member(site, "cam-r12"), member(site, "cam-r13")
    site.revoke("cam-r12", NOW)
    with open_broker(site) as broker:
        said = refusal(site, tmp_path / "unit", **stolen)
        assert f"mqtt.cert_file {stolen['cert_file']}: was withdrawn at this site" in said
        with Voice(broker.port, "cam-r13", mine) as other:
            assert other.say("fallwatch/home1/cam-r13/alert/event") < 0x80


@pytest.mark.parametrize(
    ("days", "names", "sentence"),
    [
        (-2, ("127.0.0.1",), "the broker's certificate has expired; run `fallwatch provision renew-broker`"),
        (30, ("broker.elsewhere",), "the broker's certificate is not for '127.0.0.1'"),
    ],
)
def test_a_broker_that_cannot_prove_itself_is_named(
    tmp_path: Path, days: int, names: tuple[str, ...], sentence: str
) -> None:
    site = new_site(tmp_path, names, days)
    mine = member(site, "cam-r12")
    with open_broker(site):
        assert sentence in refusal(site, tmp_path / "unit", **mine)


def test_a_broker_of_another_house_is_not_trusted_and_the_file_to_correct_is_named(site: Site, tmp_path: Path) -> None:
    foreign = new_site(tmp_path / "elsewhere").folder / "ca.pem"
    mine = member(site, "cam-r12") | {"ca_file": str(foreign)}
    with open_broker(site):
        said = refusal(site, tmp_path / "unit", **mine)
    assert f"mqtt.ca_file {foreign}: the broker's certificate is not signed by it" in said


def test_a_reload_is_enough_to_let_a_new_unit_in(site: Site) -> None:
    old = member(site, "cam-r12")
    with open_broker(site) as broker, Voice(broker.port, "cam-r12", old) as first:
        new = member(site, "cam-r13")
        with Voice(broker.port, "cam-r13", new) as second:
            assert second.say("fallwatch/home1/cam-r13/alert/event") == 0x87
            broker.reload()
            eventually(lambda: second.say("fallwatch/home1/cam-r13/alert/event") < 0x80)
            assert first.say("fallwatch/home1/cam-r12/alert/event") < 0x80, "and nobody was thrown off"


def test_a_renewed_certificate_works_and_the_key_stays(site: Site) -> None:
    mine = member(site, "cam-r12", days=-2)
    asked = site.folder.parent / "cam-r12" / "cam-r12.csr"
    with open_broker(site) as broker:
        assert "has expired" in refusal(site, site.folder.parent / "unit", **mine)
        site.sign(asked, "unit", NOW)
        with Voice(broker.port, "cam-r12", mine) as renewed:
            assert renewed.say("fallwatch/home1/cam-r12/alert/event") < 0x80


# --- as the installer does it ---------------------------------------------------------------------------------------


def provision(*words: object) -> int:
    return main(["provision", *map(str, words)])


def test_an_installer_brings_a_unit_into_a_site_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, home, state = free_port(), tmp_path / "site", tmp_path / "state"
    state.mkdir()
    where = ["--installed", home / "broker", "--state", state, "--port", port]
    assert provision("site", "--site", "home1", "--broker", "127.0.0.1", "--folder", home, *where) == 0
    config = tmp_path / "unit.toml"
    own = f'[unit]\nsite = "home1"\nid = "cam-r12"\nroom = "r12"\n[store]\nfolder = "{tmp_path / "unit"}"\n'
    config.write_text(own)
    capsys.readouterr()
    assert provision("key", "--config", config) == 0
    lines = capsys.readouterr().out.partition("[mqtt]")[2].replace('"…"', '"127.0.0.1"').replace("8883", str(port))
    config.write_text(f"{own}[mqtt]{lines}")
    folder = tmp_path / "unit" / "tls"
    key = (folder / "cam-r12.key").read_bytes()
    assert provision("key", "--config", config) == 0
    assert (folder / "cam-r12.key").read_bytes() == key, "a second call keeps the key"
    assert stat.S_IMODE((folder / "cam-r12.key").stat().st_mode) == 0o600
    assert provision("sign", folder / "cam-r12.csr", "--folder", home) == 0
    for file in (home / "issued" / "cam-r12").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with SiteMosquitto(state, Site.open(home, None)):
        capsys.readouterr()
        main(["check", "--json", "--source", "/nowhere.mp4", "--config", str(config)])
        found = {row["what"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["broker"]["ok"] is True, found["broker"]["said"]
    assert found["certificate"]["ok"] is True
    assert "until" in found["certificate"]["said"]


def test_the_list_says_who_is_in_and_fails_when_something_ends_soon(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    member(site, "cam-r12", days=400)
    assert provision("list", "--folder", site.folder) == 0
    member(site, "cam-r13", days=59)
    member(site, "desk-1", "desk", days=-1)
    capsys.readouterr()
    assert provision("list", "--folder", site.folder, "--json") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows][:2] == ["desk-1", "cam-r13"], "what ends first comes first"
    assert {row["name"]: row["what"] for row in rows}["ca.pem"] == "authority"
    provision("list", "--folder", site.folder)
    said = capsys.readouterr().out
    assert "EXPIRED desk-1" in said
    assert "renew   cam-r13" in said


def test_check_fails_for_a_certificate_that_is_over(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "unit.toml"
    files = "\n".join(f"{key} = {json.dumps(value)}" for key, value in member(site, "cam-r12", days=-2).items())
    config.write_text(f"[mqtt]\nport = 1\n{files}\n[store]\nfolder = '{tmp_path}/state'\n")
    assert main(["check", "--json", "--source", "/nowhere.mp4", "--config", str(config)]) == 1
    found = {row["what"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["certificate"]["ok"] is False
    assert "cam-r12.pem: has expired on" in found["certificate"]["said"]


def test_what_cannot_be_is_one_sentence(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: object) -> str:
        code = provision(*words, "--folder", site.folder)
        lines = capsys.readouterr().err.splitlines()
        assert code in (1, 2)
        assert len(lines) == 1
        return lines[0]

    member(site, "cam-r12")
    mine = tmp_path / "cam-r12" / "cam-r12.csr"
    (tmp_path / "other.csr").write_bytes(request(new_key(), "cam-r12"))
    (tmp_path / "no.csr").write_text("nothing")
    (tmp_path / "empty").write_text("\n")
    assert "is a site already" in said("site", "--site", "home1", "--broker", "b")
    assert "wants --site NAME and --broker" in said("site")
    assert "is a member with another key" in said("sign", tmp_path / "other.csr")
    assert "is no signing request" in said("sign", tmp_path / "no.csr")
    assert "cannot be read" in said("sign", tmp_path / "nowhere.csr")
    assert "wants the unit's signing request" in said("sign")
    assert "--days 0: give 1 to 7300" in said("sign", mine, "--days", 0)
    assert "is no member of home1" in said("revoke", "cam-r99")
    assert "is empty; write the passphrase" in said("revoke", "cam-r12", "--passphrase-file", tmp_path / "empty")
    assert "cannot be a name here" in said("key", "--name", "Mrs Smith")
    (site.folder / "site.json").write_text("{}")
    assert "is no register of a site" in said("list")


def test_a_passphrase_guards_the_authority(tmp_path: Path) -> None:
    register = Register("home1", ("b",), Placement())
    Site.create(tmp_path, register, NOW, b"a word")
    assert b"ENCRYPTED" in (tmp_path / "ca.key").read_bytes()
    Site.open(tmp_path, b"a word").renew_broker(NOW)
    for wrong in (None, b"another"):
        with pytest.raises(AuthorityError, match="give the right --passphrase-file"):
            Site.open(tmp_path, wrong)


def test_a_replaced_board_withdraws_the_old_certificate(site: Site) -> None:
    member(site, "cam-r12")
    before = site.register.members[0].serial
    member(site, "cam-r12")  # another key under the same name
    after = read_register(site.folder)
    assert (after.withdrawn, len(after.members)) == ((before,), 1)
    withdrawn = x509.load_pem_x509_crl((site.folder / "broker" / "crl.pem").read_bytes())
    assert [f"{one.serial_number:x}" for one in withdrawn] == [before]
    assert (
        withdrawn.next_update_utc
        == x509.load_pem_x509_certificate((site.folder / "ca.pem").read_bytes()).not_valid_after_utc
    ), "a list that nobody renews must not lock everybody out"


def test_a_request_that_was_changed_on_its_way_is_refused() -> None:
    pem = request(new_key(), "cam-r12")
    der = x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER).replace(b"cam-r12", b"cam-r13")
    changed = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    with pytest.raises(AuthorityError, match="was changed on its way"):
        read_request(changed, "cam-r12.csr")


def test_every_line_of_the_brokers_configuration_stands_under_its_reason() -> None:
    blocks = [block for block in mosquitto_conf().split("\n\n") if block.strip()]
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[0].startswith("# "), block
    wanted = ("require_certificate true", "use_identity_as_username true", "allow_anonymous false", "persistence true")
    assert set(wanted) <= set(mosquitto_conf().splitlines())


def test_no_line_of_the_access_list_holds_for_everybody() -> None:
    text = acl("home1", [Member("cam-r12", "unit"), Member("desk-1", "desk"), Member("ha", "home-assistant")])
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0].startswith("user ")
    assert not any(line.startswith("pattern") for line in lines)


@hypothesis.settings(deadline=None, max_examples=50)
@given(seconds=st.integers(0, 200_000_000_000), days=st.integers(0, 300_000), long=st.booleans())
def test_dates_are_read_as_a_library_reads_them(seconds: int, days: int, long: bool) -> None:
    begins = datetime(1950, 1, 1) + timedelta(seconds=seconds)  # UTCTime ends in 2049: both spellings are drawn
    key = new_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n" * (60 if long else 1))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name(list(name) * 4) if long else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    dates = dates_in(made.public_bytes(Encoding.PEM))
    assert dates.begins == made.not_valid_before_utc.timestamp()
    assert dates.ends == made.not_valid_after_utc.timestamp()


WHOLE = new_authority("home1", NOW).certificate.public_bytes(Encoding.DER)


@hypothesis.settings(deadline=None)
@given(st.binary(min_size=1, max_size=20), st.integers(0, len(WHOLE)), st.booleans())
def test_a_broken_certificate_file_is_never_more_than_one_sentence(rubbish: bytes, at: int, cut: bool) -> None:
    der = WHOLE[:at] if cut else WHOLE[:at] + rubbish + WHOLE[at + len(rubbish) :]
    with suppress(CertificateError):
        dates_in(ssl.DER_cert_to_PEM_cert(der).encode())


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(ssl.DER_cert_to_PEM_cert(WHOLE[:100]).encode())
    for name, words in (("c.pem", "holds no certificate in PEM"), ("nowhere.pem", "cannot be read")):
        with pytest.raises(CertificateError, match=f"{name}: {words}"):
            read_dates(tmp_path / name)


def dates_in(pem: bytes) -> Dates:
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        Path(file.name).write_bytes(pem)
        return read_dates(Path(file.name))


def test_a_unit_says_itself_that_its_certificate_ends(site: Site) -> None:
    wall = NOW.timestamp()
    for days, words in ((400, ""), (59, "expires on"), (-2, "has expired on")):
        said = ending(Mqtt(host="b", **member(site, "cam-r12", days=days)), wall)
        assert words in said
        assert bool(said) == bool(words)
    assert "holds only from" in ending(Mqtt(host="b", **member(site, "cam-r12")), wall - 90 * 24 * 3600)
    assert ending(Settings().mqtt, wall) == ""


def test_a_running_unit_latches_the_fault_while_there_is_still_time(site: Site, tmp_path: Path) -> None:
    video = write_video(tmp_path / "room.mp4", moving_square(10), fps=10)
    mqtt = Mqtt(host="127.0.0.1", port=1, **member(site, "cam-r12", days=59))
    unit = Unit(
        Settings(camera=Camera(source=str(video)), mqtt=mqtt, store=Store(folder=str(tmp_path / "state"))),
        shipped_bundle(),
        SystemClock(),
    )
    unit.run(threading.Event())
    assert "certificate" in {str(fault.detail["cause"]) for fault in unit.faults.open()}
