"""The page as people use it: a real Chromium on the real process, by mouse, by keyboard, on a phone and on a desk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from device.console import create_app
from device.records import Receipt
from tests.conftest import eventually, free_port
from tests.test_console import LIMITS, House, settings_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

CHROMIUM = Path(os.environ.get("FALLWATCH_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
SHOTS = os.environ.get("FALLWATCH_SHOTS")
"""A folder that keeps the screenshots, for a human to look at; without it they go to pytest's temporary folder."""

TOO_SMALL = """() => [...document.querySelectorAll('a, button, select, input')]
    .filter((one) => one.offsetParent && one.className !== 'skip')
    .map((one) => [one.textContent.trim() || one.id, one.getBoundingClientRect()])
    .filter(([, box]) => box.width < 44 || box.height < 44)
    .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
"""What a finger would miss: narrower or lower than 44 px."""

Open = Callable[..., "Tab"]


def comes_true(tab: Tab, question: str) -> None:
    """Wait for a JavaScript expression. Asked from outside: the page's own policy forbids eval, which Playwright's
    wait_for_function falls back on when the answer is not there at once."""
    eventually(lambda: tab.evaluate(question), 60.0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="PLAYWRIGHT ABSENT: the page was seen by no browser")
    if not CHROMIUM.exists():
        pytest.skip(f"CHROMIUM ABSENT: {CHROMIUM} not found; the page was seen by no browser")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "unit", settings_for(tmp_path / "unit"))


@pytest.fixture
def fall(house: House) -> str:
    """A recorded, confirmed fall of two minutes ago that nobody has claimed, and an older one that is over."""
    wall = time.time() - 120
    house.happens(("suspected", 0.0), ("dismissed", 4.0), wall=wall - 90_000, ended=True)
    incident_id = house.happens(("suspected", 0.3), ("confirmed", 6.0), wall=wall)
    house.rings(incident_id, "room-12: somebody fell and is on the floor", wall + 6.0)
    house.answers(Receipt(incident_id, "broker", "", wall + 6.1), Receipt(incident_id, "consumer", "desk", wall + 6.3))
    house.is_recorded(incident_id, wall)
    return incident_id


class Served:
    """The page in a thread of the test; test_console.py runs it as the process it is."""

    def __init__(self, house: House) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        app = create_app(house.folder, settings_for(house.folder, port))
        self._watch = app.state.watch
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        eventually(lambda: self._server.started)

    def stop(self) -> None:
        self._watch.stop()
        self._server.should_exit = True
        self._thread.join(timeout=15)


@pytest.fixture
def page(house: House) -> Iterator[Served]:
    served = Served(house)
    yield served
    served.stop()


@pytest.fixture
def open_page(browser: Browser, page: Served) -> Iterator[Open]:
    """Opens the page in a fresh profile; fails the test on a script error or a request to anywhere else."""
    wrong: list[str] = []
    contexts = []

    def opened(viewport: dict[str, int] = DESK, scheme: str = "light", fragment: str = "") -> Tab:
        context = browser.new_context(viewport=viewport, color_scheme=scheme, has_touch=viewport is PHONE)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)  # a busy machine draws slowly; only a page that never does is wrong
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: None if _own(request.url, page.url) else wrong.append(request.url))
        tab.goto(f"{page.url}/{fragment}")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def _own(url: str, page_url: str) -> bool:
    return url.startswith((f"{page_url}/", "data:", "blob:"))


def _ready(tab: Tab) -> None:
    """The event is open: the clip can be played and the timeline is drawn."""
    tab.wait_for_selector("canvas")
    comes_true(tab, "document.querySelector('video').readyState >= 2")


def _colours(tab: Tab) -> int:
    """How many colours the timeline has; an empty canvas has one."""
    return int(
        tab.evaluate(
            """() => {
                const canvas = document.querySelector('canvas');
                const data = new Uint32Array(
                    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
                return new Set(data).size;
            }"""
        )
    )


def test_an_event_opens_with_its_clip_and_its_scores_and_back_leads_back(open_page: Open, fall: str) -> None:
    tab = open_page(PHONE)
    row = tab.locator(f"a[data-id='{fall}']")
    assert tab.locator(".group.open h2").inner_text().startswith("Open now")
    assert "Rings" in row.inner_text()
    row.click()
    _ready(tab)
    assert tab.url.endswith(f"#/event/{fall}")
    assert not tab.locator("#list").is_visible()
    assert tab.evaluate("document.querySelector('video').duration") == pytest.approx(12.0, abs=0.3)
    assert _colours(tab) > 20
    assert "Fall confirmed" in tab.locator(".story").inner_text()
    assert "desk received it" in tab.locator(".receipts").inner_text()
    assert "Nobody has acted yet" in tab.locator(".receipts").inner_text()
    tab.go_back()
    comes_true(tab, "document.body.dataset.view === 'list'")
    assert tab.evaluate("document.activeElement.dataset.id") == fall


def test_an_event_can_be_opened_by_its_address(open_page: Open, fall: str) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    assert "room-12" in tab.locator("#event h1").inner_text()


def test_the_clip_goes_by_keyboard_and_the_cursor_goes_with_it(open_page: Open, fall: str) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)

    def at() -> float:
        return float(tab.evaluate("document.querySelector('video').currentTime"))

    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    assert at() == pytest.approx(0.3, abs=0.02)
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("ArrowLeft")
    assert at() == pytest.approx(1.2, abs=0.02)
    assert tab.locator(".reading").inner_text().startswith("At 1.2 s: most likely upright")
    tab.keyboard.press("Space")
    eventually(lambda: at() > 1.6)
    tab.keyboard.press("Space")
    assert tab.evaluate("document.querySelector('video').paused")
    now = float(tab.locator("canvas").get_attribute("aria-valuenow") or "nan")
    eventually(lambda: abs(float(tab.locator("canvas").get_attribute("aria-valuenow") or "nan") - at()) < 0.15)
    assert now > 1.2
    tab.keyboard.press("?")
    assert tab.locator("dialog").is_visible()
    tab.locator("#keys-on").uncheck()
    tab.keyboard.press("Escape")
    before = at()
    tab.keyboard.press("ArrowRight")
    assert at() == before
    tab.evaluate("document.getElementById('keys-on').click()")
    tab.keyboard.press("Escape")
    comes_true(tab, "document.body.dataset.view === 'list'")


def test_a_click_on_the_timeline_seeks_and_the_pointer_reads(open_page: Open, fall: str) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    tab.locator("canvas").scroll_into_view_if_needed()
    box = tab.locator("canvas").bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2)
    eventually(lambda: "most likely falling" in tab.locator(".reading").inner_text())
    assert float(tab.locator(".chip .value").first.inner_text()) > 0.5
    tab.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    eventually(lambda: 8.5 < tab.evaluate("document.querySelector('video').currentTime") < 10.5)


def test_thresholds_and_lines_are_drawn_where_known(open_page: Open, fall: str, house: House) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    with_two = tab.evaluate("document.querySelector('canvas').toDataURL()")
    tab.locator(".chip", has_text="upright").click()
    assert tab.locator(".chip", has_text="upright").get_attribute("aria-pressed") == "true"
    assert tab.evaluate("document.querySelector('canvas').toDataURL()") != with_two
    tab.locator(".chip", has_text="upright").click()
    note = house.folder / "events" / fall / "event.json"
    note.write_text(note.read_text().replace(f'"fall_on": {LIMITS["fall_on"]}', '"fall_on": 0.8'))
    tab.reload()
    _ready(tab)
    assert tab.evaluate("document.querySelector('canvas').toDataURL()") != with_two


def test_a_new_event_appears_and_is_announced_without_a_reload(open_page: Open, house: House, fall: str) -> None:
    tab = open_page()
    tab.wait_for_selector("#live[data-live='yes']")
    new = house.happens(("suspected", 0.0), ("confirmed", 6.0), wall=time.time() - 6)
    tab.wait_for_selector(f"a[data-id='{new}']")
    assert tab.locator(".row").first.get_attribute("data-id") == new
    eventually(lambda: "room-12: Fall confirmed" in tab.locator("#alarm").inner_text())
    assert tab.title().startswith("(2) Fallwatch")
    house.answers(Receipt(new, "human", "Anna", time.time(), "claim"))
    eventually(lambda: "Claimed by Anna" in tab.locator(f"a[data-id='{new}']").inner_text())


def test_a_clip_appears_when_it_is_complete(open_page: Open, house: House) -> None:
    wall = time.time() - 8
    fall = house.happens(("suspected", 0.0), ("confirmed", 6.0), wall=wall)
    tab = open_page(fragment=f"#/event/{fall}")
    eventually(lambda: "Still recording" in tab.locator("#event").inner_text())
    house.is_recorded(fall, wall)
    _ready(tab)


def test_what_rings_elsewhere_stays_one_touch_away(open_page: Open, house: House, fall: str) -> None:
    tab = open_page(PHONE, fragment=f"#/event/{fall}")
    _ready(tab)
    new = house.happens(("confirmed", 20.0), wall=time.time() - 20, kind="floor")
    tab.locator("a.banner.rings").click()
    eventually(lambda: tab.url.endswith(new) and "On the floor" in tab.locator("#event").inner_text())


def test_a_reviewer_labels_an_event(open_page: Open, house: House, fall: str) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    tab.locator("button[data-label='false']").click()
    eventually(lambda: tab.locator("button[data-label='false']").get_attribute("aria-pressed") == "true")
    assert house.row(fall)["label"] == "false"
    tab.locator("#filter").select_option("false")
    eventually(lambda: tab.locator(".row").count() == 1)


def test_a_nurse_claims_with_her_name_and_closes_with_a_cause_by_keyboard_alone(
    open_page: Open, house: House, fall: str
) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    tab.get_by_role("button", name="I am going").press("Enter")
    assert "Write your name first" in tab.locator(".answers .said").inner_text()
    assert tab.evaluate("document.activeElement.id") == "answer-name"
    tab.keyboard.type("Nina")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.dataset.answer") == "claim"
    tab.keyboard.press("Enter")
    comes_true(tab, "document.querySelector('.answers .said').textContent.startsWith('Kept')")
    assert (house.row(fall)["state"], house.row(fall)["by"]) == ("claimed", "Nina")
    assert "Claimed by Nina" in tab.locator(".standing").inner_text()
    tab.get_by_role("button", name="Close…").press("Enter")
    tab.locator("dialog[open] #answer-cause").fill("slipped")
    tab.locator("dialog[open] #answer-outcome").fill("unhurt")
    tab.keyboard.press("Enter")
    comes_true(tab, "document.querySelector('.answers [data-answer=reopen]') !== null")
    row = house.row(fall)
    assert (row["state"], row["cause"], row["outcome"]) == ("closed", "slipped", "unhurt")
    assert tab.locator("dialog.wording").count() == 0


def test_a_false_alarm_can_be_taken_back_before_it_is_said_and_the_name_is_remembered(
    open_page: Open, house: House, fall: str
) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    tab.locator("#answer-name").fill("Ben")
    tab.get_by_role("button", name="False alarm…").click()
    tab.keyboard.press("Escape")
    comes_true(tab, "document.querySelector('dialog.wording') === null")
    assert house.row(fall)["state"] == "open"
    tab.get_by_role("button", name="False alarm…").click()
    tab.locator("dialog[open] #answer-cause").fill("a coat on the floor")
    tab.get_by_role("button", name="It was a false alarm").click()
    comes_true(tab, "document.querySelector('.answers [data-answer=reopen]') !== null")
    assert (house.row(fall)["state"], house.row(fall)["by"]) == ("rejected", "Ben")
    tab.reload()
    tab.locator("#answer-name").wait_for()
    assert tab.locator("#answer-name").input_value() == "Ben"


def test_a_page_that_hears_nothing_says_that_it_is_not_live(open_page: Open, page: Served, fall: str) -> None:
    tab = open_page()
    tab.clock.install()
    tab.reload()
    tab.clock.run_for(5000)
    tab.wait_for_selector("#live[data-live='yes']")
    assert not tab.locator("#stale").is_visible()
    page.stop()
    tab.clock.run_for(12_000)
    assert "This page is not live" in tab.locator("#stale").inner_text()
    assert tab.locator("#live").inner_text() == "Not live"


def test_before_the_first_journal_the_page_says_so_and_becomes_live(open_page: Open, house: House) -> None:
    tab = open_page()
    eventually(lambda: "No journal yet" in tab.locator("#rows").inner_text())
    fall = house.happens(("suspected", 0.0), wall=time.time())
    tab.wait_for_selector(f"a[data-id='{fall}']")


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")],
    ids=["phone-light", "phone-dark", "desk-light", "desk-dark"],
)
def test_everything_fits_and_can_be_touched(
    open_page: Open, fall: str, tmp_path: Path, viewport: dict[str, int], scheme: str
) -> None:
    tab = open_page(viewport, scheme)
    shots = Path(SHOTS) if SHOTS else tmp_path
    tab.wait_for_selector(".row")
    for view in ("list", "event"):
        if view == "event":
            tab.locator(f"a[data-id='{fall}']").click()
            _ready(tab)
            tab.keyboard.press("Shift+ArrowRight")
        tab.screenshot(path=str(shots / f"{viewport['width']}-{scheme}-{view}.png"), full_page=True)
        wide = tab.evaluate("document.documentElement.scrollWidth")
        assert wide <= viewport["width"], f"{view} scrolls sideways: {wide} px"
        assert tab.evaluate(TOO_SMALL) == [], f"{view}: too small to touch"


def test_the_focus_can_be_seen_and_everything_is_reached_by_tab(open_page: Open, fall: str) -> None:
    tab = open_page(fragment=f"#/event/{fall}")
    _ready(tab)
    reached = set()
    tab.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(40):
        tab.keyboard.press("Tab")
        name, outline = tab.evaluate(
            "[document.activeElement.textContent.trim() || document.activeElement.tagName,"
            " getComputedStyle(document.activeElement).outlineWidth]"
        )
        if name.startswith("Skip to"):
            continue
        if tab.evaluate("document.activeElement === document.body"):
            break
        assert outline == "3px", name
        reached.add(name)
    assert {"Play", "Download clip", "True alarm", "False alarm", "Unsure", "CANVAS"} <= reached
