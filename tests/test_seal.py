"""Who stands for a bundle: hashes, signatures, keys, and a bundle as one file, from the release desk to the unit."""

from __future__ import annotations

import json
import logging
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from device.archive import ENDING, pack, unpacked
from device.card import CARD_FILE, TFLITE_FILE, BundleError, read_card, shipped_bundle
from device.cli import main
from device.commands.check import _model as look_at_the_model
from device.journal import Journal
from device.seal import SIGNATURE_FILE, SealError, check_seal, read_public_key
from device.settings_file import read_settings
from quantize.about import about_of
from quantize.bundle import say_again
from quantize.signing import PrivateKey, keygen, sign_bundle
from tests.footage_made import moving_square, write_video


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return keygen(tmp_path_factory.mktemp("keys") / "site")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return keygen(tmp_path_factory.mktemp("keys") / "stranger")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle from elsewhere: the shipped one, copied out of the package."""
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("footage") / "room.mp4", moving_square(5), fps=10)


def pub(key: PrivateKey) -> Path:
    return key.public.path


def test_a_signed_bundle_is_trusted_by_its_key_and_by_no_other(
    bundle: Path, key: PrivateKey, stranger: PrivateKey
) -> None:
    sign_bundle(bundle, key)
    assert check_seal(bundle, [pub(stranger), pub(key)]) == f"signed by {key.public.fingerprint} ({pub(key)})"
    with pytest.raises(SealError, match=f"signed by key {key.public.fingerprint}, which is not trusted here"):
        check_seal(bundle, [pub(stranger)])


def test_an_unsigned_bundle_is_refused_only_where_keys_are_trusted(bundle: Path, key: PrivateKey) -> None:
    assert "no signature asked for" in check_seal(bundle, [])
    with pytest.raises(SealError, match=r"not signed, and model\.trusted_keys asks for a signature"):
        check_seal(bundle, [pub(key)])


def test_what_came_with_the_package_needs_no_signature(key: PrivateKey) -> None:
    assert check_seal(shipped_bundle(), [pub(key)]) == "came with this version"


def test_a_card_that_was_changed_after_signing_is_refused(bundle: Path, key: PrivateKey) -> None:
    """Somebody lowers a threshold, or swaps the model and writes its new hash into the card."""
    sign_bundle(bundle, key)
    card = bundle / CARD_FILE
    card.write_text(card.read_text().replace("fall_on = 0.4", "fall_on = 0.9"))
    assert read_card(bundle).thresholds.fall_on == 0.9, "the hashes say nothing about the card itself"
    with pytest.raises(SealError, match=r"its card.toml is not the one that key \w+ signed"):
        check_seal(bundle, [pub(key)])


def test_a_signature_that_names_a_trusted_key_and_is_another_ones_is_refused(
    bundle: Path, key: PrivateKey, stranger: PrivateKey
) -> None:
    sign_bundle(bundle, stranger)
    path = bundle / SIGNATURE_FILE
    path.write_text(path.read_text().replace(stranger.public.fingerprint, key.public.fingerprint))
    with pytest.raises(SealError, match="is not the one that key"):
        check_seal(bundle, [pub(key)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a signature"),
        ("ed25519 0123456789abcdef ###", "not a signature"),
        ("rsa 0123456789abcdef AAAA", "signed by 'rsa', this version knows ed25519"),
        ("x" * 20_000, "larger than 10000 bytes"),
        ("ed25519 {} AAAA", "is not the one that key"),
    ],
)
def test_a_signature_file_that_is_none_is_refused_in_a_sentence(
    bundle: Path, key: PrivateKey, text: str, says: str
) -> None:
    (bundle / SIGNATURE_FILE).write_text(text.format(key.public.fingerprint))
    with pytest.raises(SealError, match=says):
        check_seal(bundle, [pub(key)])


def test_a_private_key_is_its_owners_alone_and_is_never_overwritten_or_shown(key: PrivateKey) -> None:
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    with pytest.raises(SealError, match="is there already"):
        keygen(key.path.with_suffix(""))
    assert key.raw.hex() not in repr(key)
    assert str(key.raw) not in repr(key)


def test_keys_and_signatures_are_those_of_openssl(bundle: Path, key: PrivateKey, tmp_path: Path) -> None:
    """A release desk may keep its key in a token and sign with OpenSSL; whoever doubts us can check with it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("OPENSSL ABSENT: this test checked nothing")
    sign_bundle(bundle, key)
    raw = tmp_path / "raw"
    command = f"cut -d' ' -f3 '{bundle / SIGNATURE_FILE}' | base64 -d > '{raw}'"
    subprocess.run(["bash", "-c", command], check=True)
    checked = subprocess.run(
        [
            *(openssl, "pkeyutl", "-verify", "-pubin", "-inkey", pub(key), "-rawin"),
            *("-in", bundle / CARD_FILE, "-sigfile", raw),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Signature Verified Successfully" in checked.stdout, checked.stderr
    made = tmp_path / "theirs.key"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", made], check=True, capture_output=True)
    public = tmp_path / "theirs.pub"
    subprocess.run([openssl, "pkey", "-in", made, "-pubout", "-out", public], check=True, capture_output=True)
    assert main(["bundle", "sign", str(bundle), "--key", str(made)]) == 0
    assert read_public_key(public).fingerprint in check_seal(bundle, [public])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no public key in it"),
        ("-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n", "is damaged"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not an Ed25519 one"),
        (None, "cannot be read"),
    ],
)
def test_a_key_file_that_is_none_closes_the_door(
    bundle: Path, key: PrivateKey, tmp_path: Path, content: str | None, says: str
) -> None:
    """A trusted key that is gone must not mean that everything is trusted."""
    sign_bundle(bundle, key)
    wrong = tmp_path / "wrong.pub"
    if content is not None:
        wrong.write_text(content)
    with pytest.raises(SealError, match=says):
        check_seal(bundle, [wrong])


def test_a_card_said_anew_loses_its_signature_and_a_card_that_stays_keeps_it(
    bundle: Path, key: PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    sign_bundle(bundle, key)
    about = about_of(read_card(bundle))
    say_again(bundle, about)  # writes the lists in its own way
    sign_bundle(bundle, key)
    say_again(bundle, about)
    assert check_seal(bundle, [pub(key)])
    say_again(bundle, about.model_copy(update={"summary": "measured since"}))
    assert not (bundle / SIGNATURE_FILE).exists()
    assert "sign it again" in caplog.text


class TestOneFile:
    def test_what_is_unpacked_is_what_was_packed_signature_and_all(
        self, bundle: Path, key: PrivateKey, tmp_path: Path
    ) -> None:
        sign_bundle(bundle, key)
        (bundle / "notes.txt").write_text("not the card's")
        pack(bundle, tmp_path / f"b{ENDING}")
        pack(bundle, tmp_path / f"again{ENDING}")
        assert (tmp_path / f"b{ENDING}").read_bytes() == (tmp_path / f"again{ENDING}").read_bytes()
        folder = unpacked(tmp_path / f"b{ENDING}", tmp_path / "home")
        assert read_card(folder) == read_card(bundle)
        assert check_seal(folder, [pub(key)])
        assert not (folder / "notes.txt").exists()
        assert unpacked(tmp_path / f"again{ENDING}", tmp_path / "home") == folder
        (folder / TFLITE_FILE).write_bytes(b"spoilt by the disk")
        assert read_card(unpacked(tmp_path / f"b{ENDING}", tmp_path / "home")) == read_card(bundle)
        assert [path.name for path in (tmp_path / "home").iterdir()] == [folder.name]

    @pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", ".hidden", "..", "a\\b"])
    def test_a_name_that_leads_elsewhere_is_refused(self, bundle: Path, tmp_path: Path, name: str) -> None:
        packed = tmp_path / f"b{ENDING}"
        pack(bundle, packed)
        with zipfile.ZipFile(packed, "a") as archive:
            archive.writestr(name, "evil")
        with pytest.raises(BundleError, match="plain names"):
            unpacked(packed, tmp_path / "home")
        assert not list((tmp_path / "home").iterdir())

    def test_content_that_swells_is_refused(self, bundle: Path, tmp_path: Path) -> None:
        packed = tmp_path / f"b{ENDING}"
        pack(bundle, packed)
        with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", bytes(80_000_000))
        with pytest.raises(BundleError, match="unpacks to more than 64 MB"):
            unpacked(packed, tmp_path / "home")

    def test_half_a_file_is_refused(self, bundle: Path, tmp_path: Path) -> None:
        packed = tmp_path / f"b{ENDING}"
        pack(bundle, packed)
        packed.write_bytes(packed.read_bytes()[:5000])
        with pytest.raises(BundleError, match=r"not a whole \.fwm file"):
            unpacked(packed, tmp_path / "home")
        with pytest.raises(BundleError, match="cannot be read"):
            unpacked(tmp_path / "nowhere.fwm", tmp_path / "home")

    def test_a_damaged_bundle_is_not_packed(self, bundle: Path, tmp_path: Path) -> None:
        (bundle / TFLITE_FILE).write_bytes(b"cut short")
        with pytest.raises(BundleError, match="wrong hash"):
            pack(bundle, tmp_path / f"b{ENDING}")
        assert not list(tmp_path.glob(f"*{ENDING}"))


def test_the_commands_from_keys_to_a_checked_file(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {}
    for words in (
        "bundle keygen keys/site",
        "bundle verify bundle",
        "bundle sign bundle --key keys/site.key",
        "bundle pack bundle",
        "bundle unpack r2plus1d-s-0.1.0.fwm -o copy",
        "bundle verify copy --key keys/site.pub",
        "bundle verify r2plus1d-s-0.1.0.fwm --key keys/site.pub",
        "bundle verify r2plus1d-s-0.1.0.fwm",
    ):
        assert main(words.split()) == 0, words
        said[words] = capsys.readouterr().out
    assert 'trusted_keys = ["/etc/fallwatch/site.pub"]' in said["bundle keygen keys/site"]
    assert "not signed" in said["bundle verify bundle"]
    fingerprint = read_public_key(Path("keys/site.pub")).fingerprint
    for words in ("bundle verify copy --key keys/site.pub", "bundle verify r2plus1d-s-0.1.0.fwm --key keys/site.pub"):
        assert f"files as the card says; signed by {fingerprint}" in said[words]
    assert "NOT CHECKED" in said["bundle verify r2plus1d-s-0.1.0.fwm"]
    with (Path("copy") / TFLITE_FILE).open("r+b") as file:
        file.seek(1000)
        file.write(b"\x00\x01\x02\x03")
    assert main(["bundle", "verify", "copy", "--key", "keys/site.pub"]) == 1
    assert "wrong hash" in capsys.readouterr().err
    assert main(["bundle", "unpack", "r2plus1d-s-0.1.0.fwm", "-o", "copy"]) == 1
    assert "is there already" in capsys.readouterr().err


class TestOnTheUnit:
    """What `fallwatch run` and `fallwatch check` make of a bundle from elsewhere."""

    @pytest.fixture
    def state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
        return tmp_path / "state"

    @pytest.fixture
    def watch(self, tmp_path: Path, video: Path, state: Path) -> Callable[[Path], None]:
        """`fallwatch run` over a short film by these settings, to its end."""

        def to_the_end(config: Path) -> None:
            assert state == tmp_path / "state"
            assert main(["run", "--config", str(config), "--source", str(video)]) == 0

        return to_the_end

    def settings(self, bundle: Path, *keys: PrivateKey) -> Path:
        trusted = ", ".join(f"'{pub(key)}'" for key in keys)
        path = bundle.parent / "unit.toml"
        path.write_text(f"[model]\nbundle = '{bundle}'\ntrusted_keys = [{trusted}]\n[mqtt]\nenabled = false\n")
        return path

    def watched_with(self, state: Path) -> tuple[list[str], bool]:
        """The models that a unit has watched with, and whether it had a fault of its model."""
        journal = Journal(state, readonly=True)
        try:
            rows = [(row["what"], json.loads(row["body"])) for row in journal.entries()]
        finally:
            journal.close()
        models = [body["model"] for what, body in rows if what == "unit" and body["said"] == "started"]
        return models, any(what == "incident" and body["detail"].get("cause") == "model" for what, body in rows)

    @pytest.fixture
    def strange(self, bundle: Path, stranger: PrivateKey) -> Path:
        """A bundle that somebody has signed whom nobody here knows."""
        changed_name(bundle, "evil")
        sign_bundle(bundle, stranger)
        return bundle

    def test_a_bundle_signed_by_a_stranger_is_refused_and_the_unit_watches_with_its_own(
        self,
        strange: Path,
        key: PrivateKey,
        state: Path,
        watch: Callable[[Path], None],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with caplog.at_level(logging.ERROR):
            watch(self.settings(strange, key))
        assert "which is not trusted here" in caplog.text
        assert "watching with the bundle of this version" in caplog.text
        assert self.watched_with(state) == ([read_card(shipped_bundle()).model_id], True)

    def test_a_signed_bundle_in_one_file_is_watched_with(
        self, bundle: Path, key: PrivateKey, state: Path, watch: Callable[[Path], None]
    ) -> None:
        changed_name(bundle, "ours")
        sign_bundle(bundle, key)
        packed = bundle.parent / f"ours{ENDING}"
        pack(bundle, packed)
        for _ in range(2):
            watch(self.settings(packed, key))
        assert self.watched_with(state) == ([read_card(bundle).model_id] * 2, False)
        assert read_card(bundle).model_id.startswith("ours-")
        assert len(list((state / "bundles").iterdir())) == 1, "unpacked once"

    def test_the_check_says_who_stands_for_the_bundle(self, bundle: Path, key: PrivateKey) -> None:
        settings = read_settings(self.settings(bundle, key))
        with pytest.raises(SealError, match="not signed"):
            look_at_the_model(settings)
        sign_bundle(bundle, key)
        found = look_at_the_model(settings)
        assert found.ok
        assert found.said.endswith(f"signed by {key.public.fingerprint} ({pub(key)})")


def changed_name(bundle: Path, name: str) -> None:
    """The same network under another name, so that the journal tells which of two was watched with."""
    card = bundle / CARD_FILE
    card.write_text(card.read_text().replace('name = "r2plus1d-s"', f'name = "{name}"', 1))
