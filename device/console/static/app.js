// The list of events, the page's address, and what comes live.

import { agoElement, ago, ask, clock, day, h, icon, now, setNow } from "./dom.js";
import { EventView } from "./event.js";
import { Live } from "./live.js";

const $ = (id) => document.getElementById(id);
const ORDER = { rings: 0, watching: 1, attended: 2, over: 3 };
const URGENCY_WORDS = { rings: "Rings", watching: "Watching", attended: "Attended", over: "Over" };
const LABEL_WORDS = { true: "True alarm", false: "False alarm", unsure: "Unsure" };

const events = new Map();
const view = new EventView($("event"));
let more = false;
let journal = true;
let trouble = "";
let status = null;
let returnTo = null;

function pill(event) {
  return h("span", { class: "pill", "data-urgency": event.urgency }, icon(event.urgency), URGENCY_WORDS[event.urgency]);
}

function row(event) {
  const picture = event.thumb
    ? h("img", { src: `/api/events/${event.incident_id}/thumb.jpg`, alt: "", loading: "lazy", width: 112, height: 84 })
    : h("span", { class: "no-picture" }, icon(event.kind));
  return h(
    "li",
    {},
    h(
      "a",
      { class: "row", href: `#/event/${event.incident_id}`, "data-urgency": event.urgency, "data-id": event.incident_id,
        "aria-current": view.id === event.incident_id ? "page" : null },
      picture,
      h(
        "span",
        { class: "row-words" },
        h("span", { class: "row-title" }, icon(event.kind), h("strong", {}, event.title), h("span", { class: "room" }, event.room)),
        h("span", { class: "says" }, event.urgency === "over" || event.urgency === "attended" ? event.stands : event.says),
        h("span", { class: "when" }, clock(event.wall_start), " · ", agoElement(event.wall_start)),
        h(
          "span",
          { class: "row-facts" },
          event.urgency === "over" ? null : pill(event),
          h("span", { class: "peak" }, `peak ${event.peak.toFixed(2)}`),
          event.label && h("span", { class: "tag", "data-label": event.label }, icon(event.label), LABEL_WORDS[event.label]),
        ),
      ),
    ),
  );
}

const shown = (event) => {
  const wanted = $("filter").value;
  return wanted === "all" || (wanted === "unlabelled" ? !event.label : event.label === wanted);
};

function emptyWords() {
  if (!journal || /no journal there yet/.test(trouble)) {
    return [h("h2", {}, "No journal yet"), h("p", {}, "Start ", h("code", {}, "fallwatch run"), " on this unit, or ",
      h("code", {}, "fallwatch demo"), ". This page becomes live by itself when the first entry is written.")];
  }
  if (events.size) return [h("h2", {}, "Nothing under this filter"), h("p", {}, "Choose “all” to see every event.")];
  return [h("h2", {}, "No events"), h("p", {}, "Nothing has happened on this unit. A new event appears here by itself.")];
}

function drawList() {
  const sorted = [...events.values()].filter(shown).sort(
    (a, b) => ORDER[a.urgency] - ORDER[b.urgency] || b.wall_start - a.wall_start);
  const groups = new Map();
  for (const event of sorted) {
    const group = event.urgency === "over" ? day(event.wall_start) : "Open now";
    groups.set(group, [...(groups.get(group) || []), event]);
  }
  const focused = document.activeElement?.dataset?.id;
  $("rows").replaceChildren(
    ...(sorted.length ? [] : [h("div", { class: "empty" }, emptyWords())]),
    ...[...groups].map(([name, members]) =>
      h("section", { class: name === "Open now" ? "group open" : "group" },
        h("h2", {}, name, h("span", { class: "count" }, String(members.length))),
        h("ul", {}, members.map(row)))),
  );
  if (focused) document.querySelector(`a[data-id="${focused}"]`)?.focus({ preventScroll: true });
  $("older").hidden = !more;
  drawRinging();
}

/** What rings while another event is on the screen must stay one touch away. */
function drawRinging() {
  const open = [...events.values()].filter((event) => event.urgency !== "over");
  const elsewhere = open.filter((event) => event.urgency === "rings" && event.incident_id !== view.id);
  $("ringing").replaceChildren(...elsewhere.map((event) =>
    h("a", { class: "banner rings", href: `#/event/${event.incident_id}` }, icon("rings"),
      h("span", {}, `${event.title}, ${event.room}, ${clock(event.wall_start)}`))));
  const ringing = open.filter((event) => event.urgency === "rings").length;
  document.title = `${ringing ? `(${ringing}) ` : ""}Fallwatch ${$("room").textContent}`;
}

function drawStatus() {
  const words = {
    running: (s) => ["Last word from the unit ", agoElement(s.last_wall), ". A quiet unit writes nothing."],
    watching: (s) => [`Unit: ${s.state}, ${Number(s.fps || 0).toFixed(1)} steps a second, heard `, agoElement(s.last_wall), "."],
    silent: (s) => [icon("warn"), " NO SIGN OF LIFE from the unit since ", agoElement(s.last_wall), "."],
    stopped: (s) => [icon("warn"), " The unit was stopped ", agoElement(s.last_wall), " and watches nothing."],
    rebooted: (s) => [icon("warn"), " This machine restarted after the unit's last word, ", agoElement(s.last_wall), "."],
    nothing: () => ["The journal is empty so far."],
  };
  $("known").replaceChildren(...(status ? words[status.known](status) : ["No journal yet."]));
  $("known").dataset.known = status ? status.known : "nothing";
  const faults = (status?.faults || []).map((fault) =>
    h("p", { class: "banner fault" }, icon("warn"),
      h("span", {}, h("strong", {}, fault.title), ` ${fault.words}, since ${clock(fault.wall)} (${ago(fault.wall)})`)));
  if (trouble && journal && events.size) {
    faults.unshift(h("p", { class: "banner fault" }, icon("warn"), h("span", {}, `The journal cannot be read: ${trouble}`)));
  }
  $("faults").replaceChildren(...faults);
}

function announce(event, isNew) {
  if (event.urgency === "over") return;
  const words = `${event.title}, ${event.room}: ${event.says}`;
  $(event.urgency === "rings" ? "alarm" : "announce").textContent = `${isNew ? "New event. " : ""}${words}`;
}

async function load(before = null) {
  const answer = await ask(`/api/events${before ? `?before=${before}` : ""}`);
  setNow(answer.now);
  $("room").textContent = answer.unit.room;
  $("unit").textContent = `${answer.unit.site} / ${answer.unit.id}`;
  if (before === null) events.clear();
  for (const event of answer.events) events.set(event.incident_id, event);
  ({ more, journal } = answer);
  drawList();
  return answer.seq;
}

const live = new Live({
  journal(entry) {
    journal = true;
    if (entry.event) {
      const known = events.get(entry.event.incident_id);
      events.set(entry.event.incident_id, entry.event);
      if (!known || known.stage !== entry.event.stage) announce(entry.event, !known);
    }
    drawList();
    if (entry.incident_id === view.id) view.refresh();
  },
  changed: () => load().then(() => view.refresh()).catch(() => {}),
  reset: () => load().then(() => view.refresh()).catch(() => {}),
  alive(pulse) {
    setNow(pulse.now);
    ({ trouble, status } = pulse);
    drawStatus();
  },
  stale(seconds) {
    $("stale").hidden = !seconds;
    if (seconds && !$("stale").firstChild) {
      $("stale").append(icon("warn"), h("span", {}, h("strong", {}, "This page is not live."),
        " It has heard nothing for more than 10 s and what you see may be old. It keeps trying; if this stays, look whether ",
        h("code", {}, "fallwatch console"), " runs."));
    }
    if (!seconds) $("stale").replaceChildren();
    $("live").dataset.live = seconds ? "no" : "yes";
    $("live").lastElementChild.textContent = seconds ? "Not live" : "Live";
  },
});

function route() {
  const [, id] = location.hash.match(/^#\/event\/([0-9A-Z]{26})$/) || [];
  document.body.dataset.view = id ? "event" : "list";
  if (id) {
    returnTo = id;
    view.show(id).then(() => $("event").focus({ preventScroll: true }));
    scrollTo(0, 0);
  } else {
    view.clear();
  }
  drawList();
  if (!id && returnTo) document.querySelector(`a[data-id="${returnTo}"]`)?.focus();
}

async function start() {
  try {
    live.open(await load());
    live.handlers.stale(0);
  } catch (error) {
    $("rows").replaceChildren(h("div", { class: "empty" }, h("h2", {}, "The list cannot be read"), h("p", {}, error.message)));
    setTimeout(start, 3000);
    return;
  }
  route();
  addEventListener("hashchange", route);
}

$("filter").addEventListener("change", drawList);
$("older").addEventListener("click", () =>
  load(Math.min(...[...events.values()].map((event) => event.wall_start))).catch((error) => {
    $("announce").textContent = error.message;
  }));
start();
