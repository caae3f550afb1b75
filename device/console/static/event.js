// One event: its clip with the scores under it, its story, what came back, and a reviewer's word.

import { answers } from "./answer.js";
import { agoElement, ask, clock, day, h, icon } from "./dom.js";
import { STEP_S, Timeline } from "./timeline.js";

const LABELS = [["true", "True alarm"], ["false", "False alarm"], ["unsure", "Unsure"]];
const LEVELS = [
  ["broker", "Broker", "The site's broker has not confirmed it yet."],
  ["consumer", "Screens and phones", "No screen or phone has confirmed it yet."],
  ["human", "People", "Nobody has acted yet."],
];
const SPEEDS = [0.25, 0.5, 1, 2];

export class EventView {
  constructor(root) {
    this.root = root;
    this.id = null;
    this.clear();
    document.addEventListener("keydown", (event) => this.#key(event), true);
    const on = document.getElementById("keys-on");
    on.checked = localStorage.getItem("keys") !== "off";
    on.addEventListener("change", () => localStorage.setItem("keys", on.checked ? "on" : "off"));
  }

  clear() {
    this.id = null;
    this.#leave();
    this.root.replaceChildren(h("div", { class: "empty" }, icon("watching"), h("p", {}, "Choose an event to see its clip, its scores and its story.")));
  }

  /** Open an event; the answer's own sentence is shown where it cannot be. */
  async show(id) {
    if (this.id === id) return;
    this.#leave();
    this.id = id;
    this.root.replaceChildren(h("p", { class: "loading" }, "Opening…"));
    try {
      const found = await ask(`/api/events/${id}`);
      if (this.id === id) await this.#draw(found);
    } catch (error) {
      if (this.id === id) this.root.replaceChildren(back(), h("div", { class: "empty" }, icon("warn"), h("p", {}, error.message)));
    }
  }

  /** Take over what is new without disturbing the clip that plays. */
  async refresh() {
    const id = this.id;
    if (!id) return;
    const found = await ask(`/api/events/${id}`).catch(() => null);
    if (!found || this.id !== id) return;
    if (!this.found || found.clip !== this.found.clip) {
      this.#leave();
      await this.#draw(found);
      return;
    }
    const moved = found.event.state !== this.found.event.state;
    this.found = found;
    if (moved) this.parts.answers.replaceChildren(this.#answers(found)); // else whoever is typing a name goes on typing
    this.parts.head.replaceChildren(...head(found));
    this.parts.words.replaceChildren(...this.#words(found));
    if (!found.clip) this.root.querySelector(".absent p").textContent = found.clip_absence;
    this.timeline?.mark(found.marks, found.thresholds);
  }

  #leave() {
    this.video?.pause();
    this.timeline?.close();
    this.video = this.timeline = this.found = this.drawing = null;
  }

  async #draw(found) {
    this.found = found;
    const drawing = (this.drawing = {}); // another drawing that begins meanwhile takes over
    this.parts = { head: h("div", { class: "event-head" }, head(found)), answers: h("div", {}, this.#answers(found)), words: h("div", { class: "words" }, this.#words(found)) };
    const stage = h("div", { class: "stage" }, this.#clip(found));
    this.root.replaceChildren(back(), this.parts.head, this.parts.answers, stage, this.parts.words);
    const scores = await ask(`/api/events/${this.id}/scores`).catch((error) => error);
    if (this.drawing !== drawing) return;
    if (scores instanceof Error) {
      stage.append(h("p", { class: "absent small" }, icon("none"), h("span", {}, scores.message)));
      return;
    }
    this.timeline = new Timeline(scores, this.video);
    this.timeline.mark(this.found.marks, this.found.thresholds);
    stage.append(this.timeline.element);
    this.timeline.resize();
  }

  #clip(found) {
    if (!found.clip) {
      return [h("div", { class: "absent" }, icon("none"), h("p", {}, found.clip_absence),
        found.grew_from && h("a", { class: "button", href: `#/event/${found.grew_from}` }, "Open it"))];
    }
    const address = `/api/events/${this.id}/clip.mp4`;
    // The page's own buttons stand below the picture: a browser's bar would lie over whoever lies on the floor.
    this.video = h("video", { src: address, playsinline: true, preload: "auto", "aria-label": "Clip of the event",
      poster: found.event.thumb ? `/api/events/${this.id}/thumb.jpg` : null, click: () => this.#play(),
      error: () => this.#unplayable() });
    this.video.muted = true;
    return [this.video, this.#tools(this.video, address, found.clip_sha256)];
  }

  #tools(video, address, sha256) {
    const tool = (name, words, click) => h("button", { type: "button", "aria-label": words, title: words, click }, icon(name));
    const play = h("button", { type: "button", class: "play", click: () => this.#play() }, icon("play"), "Play");
    for (const name of ["play", "pause", "ended"]) {
      video.addEventListener(name, () =>
        play.replaceChildren(...(video.paused ? [icon("play"), "Play"] : [icon("pause"), "Pause"])));
    }
    const speed = h("select", { "aria-label": "Speed", change: () => (video.playbackRate = Number(speed.value)) },
      SPEEDS.map((rate) => h("option", { value: rate, selected: rate === 1 }, `${rate}×`)));
    const full = tool("full", "Full screen", () => video.requestFullscreen?.());
    video.addEventListener("fullscreenchange", () => (video.controls = document.fullscreenElement === video));
    return h("div", { class: "clip-tools" },
      play,
      tool("earlier", "One step back", () => this.timeline?.step(-STEP_S)),
      tool("later", "One step on", () => this.timeline?.step(STEP_S)),
      speed,
      full,
      h("button", { type: "button", class: "keys-button", click: () => document.getElementById("keys").showModal() }, icon("keys"), "Keys"),
      h("a", { class: "button", href: `${address}?download=1`, download: true }, icon("download"), "Download clip"),
      sha256 && h("span", { class: "hash", title: `SHA-256 ${sha256}` }, `sha256 ${sha256.slice(0, 12)}…`));
  }

  #play() {
    if (this.video.paused) this.video.play().catch(() => this.#unplayable());
    else this.video.pause();
  }

  #unplayable() {
    if (!this.video?.error) return;
    this.video.replaceWith(h("div", { class: "absent" }, icon("warn"),
      h("p", {}, "This browser cannot play the clip: the file is damaged, or the browser has no H.264. It can be downloaded.")));
  }

  #words(found) {
    return [this.#labels(found.event), story(found), receipts(found), facts(found)];
  }

  #answers(found) {
    return answers(found.event, async (words) => {
      await this.refresh();
      const said = this.parts.answers.querySelector(".said");
      said.textContent = words;
      this.parts.answers.querySelector("button")?.focus();
    });
  }

  #labels(event) {
    const said = h("p", { class: "said", role: "status" });
    const buttons = LABELS.map(([label, words]) =>
      h("button", { type: "button", "aria-pressed": String(event.label === label), "data-label": label,
        click: () => this.#say(label, said) }, icon(label), words));
    return h("section", { class: "card labels" }, h("h2", {}, "What was it?"), h("div", { class: "label-buttons" }, buttons), said);
  }

  async #say(label, said) {
    try {
      await ask(`/api/events/${this.id}/label`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ label }) });
      await this.refresh();
      this.root.querySelector(`[data-label="${label}"]`)?.focus();
      this.root.querySelector(".said").textContent = "Kept in the journal.";
    } catch (error) {
      said.textContent = `Not kept: ${error.message}`;
    }
  }

  #key(event) {
    const on = document.getElementById("keys-on").checked;
    if (!this.id || !on || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea")) return;
    const onButton = event.target.closest("button, a");
    const step = event.shiftKey ? 1 : STEP_S;
    const act = {
      " ": () => this.video && this.#play(),
      ArrowLeft: () => this.timeline?.step(-step),
      ArrowRight: () => this.timeline?.step(step),
      Home: () => this.timeline?.seek(0),
      End: () => this.timeline?.seek(Infinity),
      Escape: () => (location.hash = "#/"),
      "?": () => document.getElementById("keys").showModal(),
    }[event.key];
    if (!act || (event.key === " " && onButton)) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

const back = () => h("a", { class: "back", href: "#/" }, icon("back"), "All events");

function head({ event }) {
  return [
    h("h1", {}, icon(event.kind), `${event.title} · ${event.room}`),
    h("p", { class: "standing", "data-urgency": event.urgency }, icon(event.urgency), h("strong", {}, event.stands)),
    h("p", { class: "when" }, `${day(event.wall_start)} ${clock(event.wall_start)} · `, agoElement(event.wall_start)),
  ];
}

function story({ story: lines, event }) {
  return h("section", { class: "card story" }, h("h2", {}, "What happened"),
    h("ol", {}, lines.map((line) =>
      h("li", { "data-who": line.who }, h("time", {}, clock(line.wall)), h("span", {}, line.words)))),
    event.wall_end === null && h("p", { class: "soft" }, "The story goes on."));
}

function receipts({ receipts: came, alerts, waiting, event }) {
  const levels = LEVELS.map(([level, title, absent]) =>
    h("li", {}, icon(came[level].length ? "over" : "none"),
      h("div", {}, h("h3", {}, title),
        came[level].length
          ? h("ul", {}, came[level].map((receipt) => h("li", {}, h("time", {}, clock(receipt.wall)), " ", receipt.words)))
          : h("p", { class: "soft" }, absent))));
  return h("section", { class: "card receipts" }, h("h2", {}, "Alert and receipts"),
    waiting > 0 && h("p", { class: "waiting" }, icon("warn"), ` ${waiting} message${waiting === 1 ? " waits" : "s wait"} for the broker.`),
    alerts.length
      ? h("ul", { class: "alerts" }, alerts.map((alert) => h("li", {}, h("time", {}, clock(alert.wall)), h("span", {}, `“${alert.text}” `, h("em", {}, alert.priority)))))
      : h("p", { class: "soft" }, "No alert has gone out about this event."),
    h("ul", { class: "levels" }, levels));
}

function facts({ event, model_id: model }) {
  return h("p", { class: "facts" }, `Peak evidence ${event.peak.toFixed(2)} · network ${model || "not noted"} · ${event.incident_id}`);
}
