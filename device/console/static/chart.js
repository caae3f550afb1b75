// The drawing of the score timeline: evidence with its thresholds, what the network saw, motion.

export const STEP_S = 0.1;
export const SERIES = ["falling", "floor", "lying", "low", "seated", "upright", "empty"];
const SMOOTH_S = 0.5; // the unit judges the mean of half a second (device/incidents/down.py)
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

export class Chart {
  constructor(canvas, scores) {
    this.canvas = canvas;
    this.scores = scores;
    this.smooth = Object.fromEntries(SERIES.map((label) => [label, smooth(scores.t, scores.series[label])]));
    this.end = scores.t.at(-1) + STEP_S;
    this.marks = [];
    this.thresholds = {};
  }

  #x(t) {
    return LEFT + (t / this.end) * (this.width - LEFT - RIGHT);
  }

  /** Seconds at a distance from the left edge of the canvas. */
  time(x) {
    return Math.min(Math.max(((x - LEFT) / (this.width - LEFT - RIGHT)) * this.end, 0), this.end - 0.001);
  }

  /** Fit the canvas to its column; flags of transitions that would overlap take further rows. */
  fit() {
    this.width = this.canvas.clientWidth;
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
  }

  /** Draw all of it. t: cursor, hover: pointer or null, both in seconds; on: set of the labels with a line. */
  draw({ t, hover, on }) {
    if (!this.height) return;
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    const ink = Object.fromEntries(["ink", "soft", "line", "card", ...SERIES].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    pen.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.lineJoin = "round";
    this.#frames(pen, ink);
    this.#ribbon(pen, ink);
    this.#motion(pen, ink);
    for (const label of [...SERIES].reverse()) if (on.has(label)) this.#line(pen, ink[label], label);
    this.#flags(pen, ink);
    this.#limits(pen, ink, on);
    this.#captions(pen, ink);
    this.#cursors(pen, ink, t, hover);
  }

  #text(pen, words, x, y, colour, { weight = 400, align = "left", halo = "" } = {}) {
    pen.font = `${weight} 12px system-ui, sans-serif`;
    pen.textAlign = align;
    if (halo) {
      pen.strokeStyle = halo;
      pen.lineWidth = 4;
      pen.strokeText(words, x, y);
    }
    pen.fillStyle = colour;
    pen.fillText(words, x, y);
  }

  #frames(pen, ink) {
    const { evidence, motion } = this.top;
    const right = this.width - RIGHT;
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

  #captions(pen, ink) {
    const most = Math.max(...this.scores.motion, 0.01);
    const halo = ink.card;
    this.#text(pen, "Evidence, mean of 0.5 s", LEFT, this.top.evidence - 8, ink.soft, { halo });
    this.#text(pen, "What the network saw", LEFT, this.top.ribbon - 8, ink.soft, { halo });
    this.#text(pen, `Motion, up to ${(100 * most).toFixed(most < 0.1 ? 1 : 0)} % of the picture`, LEFT, this.top.motion - 8, ink.soft, { halo });
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

  #limits(pen, ink, on) {
    const limits = [["fall_on", "falling", "fall from"], ["down_on", "floor", "down from"]]
      .map(([name, label, words]) => ({ label, words, limit: this.thresholds[name] }))
      .filter(({ label, limit }) => limit !== undefined && on.has(label))
      .sort((a, b) => b.limit - a.limit);
    limits.forEach(({ label, words, limit }, at) => {
      const y = this.top.evidence + HEIGHTS.evidence * (1 - limit);
      pen.strokeStyle = ink[label];
      pen.lineWidth = 1.25;
      pen.setLineDash([5, 4]);
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(this.width - RIGHT, y);
      pen.stroke();
      pen.setLineDash([]);
      // The higher one is named above its line, the lower one below: however close they are, both can be read.
      const look = { align: "right", weight: 600, halo: ink.card };
      this.#text(pen, `${words} ${limit.toFixed(2)}`, this.width - RIGHT - 2, y + (at === 0 ? -5 : 15), ink[label], look);
    });
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

  #cursors(pen, ink, t, hover) {
    const line = (at, alpha) => {
      const x = this.#x(at);
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
    if (hover !== null) line(hover, 0.45);
    const x = line(t, 1);
    pen.beginPath();
    pen.arc(x, this.top.motion + HEIGHTS.motion + 6, 6, 0, 2 * Math.PI);
    pen.fill();
  }
}
