// The score timeline: evidence with its thresholds, what the network saw, motion; one cursor with the clip.

import { h } from "./dom.js";

export const STEP_S = 0.1;
const SMOOTH_S = 0.5; // the unit judges the mean of half a second (device/incidents/down.py)
const SERIES = ["falling", "floor", "lying", "low", "seated", "upright", "empty"];
const DASHES = { falling: [], floor: [], lying: [7, 3], low: [2, 3], seated: [10, 3, 2, 3], upright: [4, 4], empty: [1, 5] };
const LEFT = 34;
const RIGHT = 10;
const FLAG = 20;
const HEIGHTS = { evidence: 150, ribbon: 50, motion: 36, gap: 24, axis: 22 };

/** Mean of each value with those of the half second before it. */
function smooth(times, values) {
  let from = 0;
  let sum = 0;
  return values.map((value, at) => {
    sum += value;
    while (times[at] - times[from] >= SMOOTH_S - 1e-6) sum -= values[from++];
    return sum / (at - from + 1);
  });
}

/** Black or white, whichever is read more easily on a colour #rrggbb. */
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

export class Timeline {
  constructor(scores, video) {
    this.scores = scores;
    this.video = video;
    this.smooth = Object.fromEntries(SERIES.map((label) => [label, smooth(scores.t, scores.series[label])]));
    this.on = new Set(["falling", "floor"]);
    this.t = 0;
    this.hover = null;
    this.marks = [];
    this.thresholds = {};
    this.#build();
    this.#listen();
  }

  /** Stage transitions ({stage, t}) and thresholds (fall_on …) to draw. */
  mark(marks, thresholds) {
    this.marks = marks;
    this.thresholds = thresholds;
    this.resize();
  }

  close() {
    this.gone = true;
    this.resizing.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
  }

  get end() {
    const duration = this.video && Number.isFinite(this.video.duration) ? this.video.duration : 0;
    return Math.max(this.scores.t.at(-1) + STEP_S, duration);
  }

  seek(t) {
    this.t = Math.min(Math.max(t, 0), this.end - 0.001);
    if (this.video?.readyState >= 1) this.video.currentTime = Math.min(this.t, this.video.duration);
    this.draw();
  }

  step(seconds) {
    this.video?.pause();
    const steps = Math.round((this.t + seconds) / STEP_S);
    this.seek(steps * STEP_S);
  }

  #build() {
    this.canvas = h("canvas", { role: "slider", tabindex: 0, "aria-label": "Score timeline, moves the clip", "aria-valuemin": 0 });
    this.reading = h("p", { class: "reading" });
    this.values = {};
    const chips = SERIES.map((label) => {
      this.values[label] = h("span", { class: "value" });
      return h("button", { type: "button", class: "chip", "aria-pressed": String(this.on.has(label)),
        "aria-label": `Line of ${label}`, click: (event) => this.#toggle(label, event.currentTarget) },
      h("i", { class: `swatch ${label}`, "aria-hidden": "true" }), h("span", {}, label), this.values[label]);
    });
    this.element = h("div", { class: "timeline" }, this.canvas, this.reading, h("div", { class: "chips" }, chips));
  }

  #toggle(label, chip) {
    if (!this.on.delete(label)) this.on.add(label);
    chip.setAttribute("aria-pressed", String(this.on.has(label)));
    this.draw();
  }

  #listen() {
    const at = (event) => this.#time(event.clientX - this.canvas.getBoundingClientRect().left);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.dragging = true;
      this.video?.pause();
      this.seek(at(event));
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.dragging) this.seek(at(event));
      else if (event.pointerType === "mouse") this.#hoverAt(at(event));
    });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => (this.dragging = false));
    this.canvas.addEventListener("pointerleave", () => this.#hoverAt(null));
    this.redraw = () => this.draw();
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.redraw);
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.element);
    if (this.video) this.#follow();
  }

  #follow() {
    const take = () => {
      if (this.gone || this.dragging) return;
      this.t = this.video.currentTime;
      this.draw();
    };
    const run = () => {
      if (this.gone || this.video.paused) return;
      take();
      requestAnimationFrame(run);
    };
    this.video.addEventListener("play", run);
    for (const name of ["timeupdate", "seeked"]) this.video.addEventListener(name, take);
    this.video.addEventListener("loadedmetadata", this.redraw);
  }

  #hoverAt(t) {
    this.hover = t;
    this.draw();
  }

  #x(t) {
    return LEFT + (t / this.end) * (this.width - LEFT - RIGHT);
  }

  #time(x) {
    return Math.min(Math.max(((x - LEFT) / (this.width - LEFT - RIGHT)) * this.end, 0), this.end - 0.001);
  }

  #index(t) {
    const times = this.scores.t;
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= t + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Fit the canvas to its column; flags of transitions that would overlap take further rows. */
  resize() {
    this.width = this.element.clientWidth;
    if (!this.width) return;
    const pen = this.canvas.getContext("2d");
    pen.font = "600 12px system-ui, sans-serif";
    const ends = [];
    this.flags = this.marks.map((mark) => {
      const wide = pen.measureText(mark.stage).width + 12;
      const x = this.#x(mark.t);
      const left = x + wide > this.width - 2 ? x - wide : x;
      let line = ends.findIndex((end) => end + 4 <= left);
      if (line < 0) line = ends.length;
      ends[line] = left + wide;
      return { ...mark, left, wide, line };
    });
    const { evidence, ribbon, motion, gap, axis } = HEIGHTS;
    const top = ends.length * FLAG + gap;
    this.top = { evidence: top, ribbon: top + evidence + gap, motion: top + evidence + ribbon + 2 * gap };
    this.height = this.top.motion + motion + axis;
    const sharp = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * sharp);
    this.canvas.height = Math.round(this.height * sharp);
    this.canvas.style.height = `${this.height}px`;
    this.sharp = sharp;
    this.draw();
  }

  draw() {
    if (!this.height) return;
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.element);
    const ink = Object.fromEntries(["ink", "soft", "line", "card", ...SERIES].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    pen.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.lineJoin = "round";
    this.#frames(pen, ink);
    this.#ribbon(pen, ink);
    this.#motion(pen, ink);
    this.#limits(pen, ink);
    for (const label of [...SERIES].reverse()) if (this.on.has(label)) this.#line(pen, ink[label], label);
    this.#flags(pen, ink);
    this.#cursors(pen, ink);
    this.#read();
  }

  #text(pen, words, x, y, colour, { weight = 400, align = "left", size = 12 } = {}) {
    pen.font = `${weight} ${size}px system-ui, sans-serif`;
    pen.textAlign = align;
    pen.fillStyle = colour;
    pen.fillText(words, x, y);
  }

  #frames(pen, ink) {
    const { evidence, ribbon, motion } = this.top;
    const right = this.width - RIGHT;
    this.#text(pen, "Evidence, mean of 0.5 s", LEFT, evidence - 8, ink.soft);
    this.#text(pen, "What the network saw", LEFT, ribbon - 8, ink.soft);
    this.#text(pen, "Motion", LEFT, motion - 8, ink.soft);
    pen.strokeStyle = ink.line;
    pen.lineWidth = 1;
    pen.setLineDash([]);
    for (const part of [0, 0.5, 1]) {
      const y = Math.round(evidence + HEIGHTS.evidence * (1 - part)) + 0.5;
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(right, y);
      pen.stroke();
      this.#text(pen, String(part), LEFT - 6, y + 4, ink.soft, { align: "right" });
    }
    const seconds = this.end;
    const every = [1, 2, 5, 10, 15, 30, 60, 120, 300].find((step) => ((right - LEFT) * step) / seconds >= 52) || 600;
    const foot = motion + HEIGHTS.motion;
    for (let t = 0; t <= seconds; t += every) {
      const x = Math.round(this.#x(t)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, foot);
      pen.lineTo(x, foot + 4);
      pen.stroke();
      this.#text(pen, `${t} s`, x, foot + 17, ink.soft, { align: t === 0 ? "left" : x > right - 14 ? "right" : "center" });
    }
  }

  #path(pen, values, top, height) {
    pen.beginPath();
    values.forEach((value, at) => pen.lineTo(this.#x(this.scores.t[at]), top + height * (1 - value)));
  }

  #line(pen, colour, label) {
    const { evidence } = this.top;
    pen.strokeStyle = colour;
    pen.setLineDash([]);
    pen.globalAlpha = 0.3;
    pen.lineWidth = 1;
    this.#path(pen, this.scores.series[label], evidence, HEIGHTS.evidence);
    pen.stroke();
    pen.globalAlpha = 1;
    pen.lineWidth = label === "falling" || label === "floor" ? 2.5 : 1.75;
    pen.setLineDash(DASHES[label]);
    this.#path(pen, this.smooth[label], evidence, HEIGHTS.evidence);
    pen.stroke();
    pen.setLineDash([]);
  }

  #limits(pen, ink) {
    const rows = [["fall_on", "falling", "fall from", "left"], ["down_on", "floor", "down from", "right"]];
    for (const [name, label, words, align] of rows) {
      const limit = this.thresholds[name];
      if (limit === undefined || !this.on.has(label)) continue;
      const y = this.top.evidence + HEIGHTS.evidence * (1 - limit);
      pen.strokeStyle = ink[label];
      pen.lineWidth = 1.25;
      pen.setLineDash([5, 4]);
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(this.width - RIGHT, y);
      pen.stroke();
      pen.setLineDash([]);
      const x = align === "left" ? LEFT + 4 : this.width - RIGHT - 4;
      this.#text(pen, `${words} ${limit.toFixed(2)}`, x, y - 4, ink[label], { align, weight: 600 });
    }
  }

  #ribbon(pen, ink) {
    const { t, series } = this.scores;
    const top = this.top.ribbon;
    const height = HEIGHTS.ribbon;
    const floor = t.map(() => 1);
    for (const label of SERIES) {
      const lower = floor.slice();
      series[label].forEach((value, at) => (floor[at] -= value));
      pen.beginPath();
      floor.forEach((share, at) => pen.lineTo(this.#x(t[at]), top + height * (1 - Math.min(1, lower[at]))));
      for (let at = t.length - 1; at >= 0; at--) pen.lineTo(this.#x(t[at]), top + height * (1 - Math.max(0, floor[at])));
      pen.closePath();
      pen.fillStyle = ink[label];
      pen.fill();
    }
    this.#ribbonNames(pen, ink);
  }

  /** The name of the label that holds a stretch, written into it where there is room. */
  #ribbonNames(pen, ink) {
    const { t, series } = this.scores;
    const best = t.map((_, at) => SERIES.reduce((a, b) => (series[b][at] > series[a][at] ? b : a)));
    pen.font = "600 12px system-ui, sans-serif";
    for (let from = 0, at = 1; at <= t.length; at++) {
      if (at < t.length && best[at] === best[from]) continue;
      const left = this.#x(t[from]);
      const right = this.#x(at < t.length ? t[at] : t[at - 1]);
      const name = best[from];
      const middle = (from + at - 1) >> 1;
      if (pen.measureText(name).width + 12 < right - left) {
        const above = SERIES.slice(0, SERIES.indexOf(name)).reduce((sum, label) => sum + series[label][middle], 0);
        const y = this.top.ribbon + HEIGHTS.ribbon * (above + series[name][middle] / 2) + 4;
        this.#text(pen, name, (left + right) / 2, y, inkOn(ink[name]), { align: "center", weight: 600 });
      }
      from = at;
    }
  }

  #motion(pen, ink) {
    const { t, motion } = this.scores;
    const { motion: top } = this.top;
    const most = Math.max(...motion, 0.01);
    pen.beginPath();
    pen.moveTo(this.#x(t[0]), top + HEIGHTS.motion);
    motion.forEach((value, at) => pen.lineTo(this.#x(t[at]), top + HEIGHTS.motion * (1 - value / most)));
    pen.lineTo(this.#x(t.at(-1)), top + HEIGHTS.motion);
    pen.fillStyle = ink.soft;
    pen.globalAlpha = 0.75;
    pen.fill();
    pen.globalAlpha = 1;
    this.#text(pen, `highest ${(100 * most).toFixed(most < 0.1 ? 1 : 0)} % of the picture`, this.width - RIGHT, top - 8, ink.soft, { align: "right" });
  }

  #flags(pen, ink) {
    for (const { stage, t, left, wide, line } of this.flags) {
      const x = Math.round(this.#x(t)) + 0.5;
      const y = 2 + line * FLAG;
      pen.strokeStyle = ink.ink;
      pen.lineWidth = 1.25;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x, this.top.motion + HEIGHTS.motion);
      pen.stroke();
      pen.fillStyle = ink.ink;
      pen.fillRect(left, y, wide, FLAG - 3);
      this.#text(pen, stage, left + 6, y + 13, ink.card, { weight: 600 });
    }
  }

  #cursors(pen, ink) {
    const draw = (t, alpha) => {
      const x = this.#x(t);
      pen.globalAlpha = alpha;
      pen.strokeStyle = pen.fillStyle = ink.accent || ink.ink;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(x, this.top.evidence - 4);
      pen.lineTo(x, this.top.motion + HEIGHTS.motion + 4);
      pen.stroke();
      pen.globalAlpha = 1;
      return x;
    };
    if (this.hover !== null) draw(this.hover, 0.45);
    const x = draw(this.t, 1);
    pen.beginPath();
    pen.arc(x, this.top.motion + HEIGHTS.motion + 6, 6, 0, 2 * Math.PI);
    pen.fill();
  }

  /** Values at the pointer, else at the cursor, in words and numbers beside the names. */
  #read() {
    const t = this.hover ?? this.t;
    const at = this.#index(t);
    for (const label of SERIES) this.values[label].textContent = this.scores.series[label][at].toFixed(2);
    const best = SERIES.reduce((a, b) => (this.scores.series[b][at] > this.scores.series[a][at] ? b : a));
    const share = `${(100 * this.scores.motion[at]).toFixed(1)} %`;
    this.reading.textContent = `${this.hover === null ? "At" : "Pointer at"} ${t.toFixed(1)} s: most likely ${best}, motion ${share}`;
    this.canvas.setAttribute("aria-valuemax", this.end.toFixed(1));
    this.canvas.setAttribute("aria-valuenow", this.t.toFixed(1));
    this.canvas.setAttribute("aria-valuetext", `${this.t.toFixed(1)} s, most likely ${best}`);
  }
}
