// The score timeline as one works with it: a cursor that goes with the clip, the pointer, the names with their values.

import { Chart, SERIES, STEP_S } from "./chart.js";
import { h } from "./dom.js";

export { STEP_S };

export class Timeline {
  constructor(scores, video) {
    this.scores = scores;
    this.video = video;
    this.on = new Set(["falling", "floor"]);
    this.t = 0;
    this.hover = null;
    this.#build();
    this.#listen();
  }

  /** Stage transitions ({stage, t}) and thresholds (fall_on …) to draw. */
  mark(marks, thresholds) {
    Object.assign(this.chart, { marks, thresholds });
    this.resize();
  }

  close() {
    this.gone = true;
    this.resizing.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
  }

  seek(t) {
    this.t = Math.min(Math.max(t, 0), this.chart.end - 0.001);
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
    this.chart = new Chart(this.canvas, this.scores);
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
    const at = (event) => this.chart.time(event.clientX - this.canvas.getBoundingClientRect().left);
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
    this.video.addEventListener("loadedmetadata", () => {
      this.chart.end = Math.max(this.chart.end, this.video.duration);
      this.resize();
    });
  }

  #hoverAt(t) {
    this.hover = t;
    this.draw();
  }

  /** Fit the drawing to its column. */
  resize() {
    this.chart.fit();
    this.draw();
  }

  draw() {
    this.chart.draw(this);
    this.#read();
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

  /** Values at the pointer, else at the cursor, in words and numbers beside the names. */
  #read() {
    const t = this.hover ?? this.t;
    const at = this.#index(t);
    for (const label of SERIES) this.values[label].textContent = this.scores.series[label][at].toFixed(2);
    const best = SERIES.reduce((a, b) => (this.scores.series[b][at] > this.scores.series[a][at] ? b : a));
    const share = `${(100 * this.scores.motion[at]).toFixed(1)} %`;
    this.reading.textContent = `${this.hover === null ? "At" : "Pointer at"} ${t.toFixed(1)} s: most likely ${best}, motion ${share}`;
    this.canvas.setAttribute("aria-valuemax", this.chart.end.toFixed(1));
    this.canvas.setAttribute("aria-valuenow", this.t.toFixed(1));
    this.canvas.setAttribute("aria-valuetext", `${this.t.toFixed(1)} s, most likely ${best}`);
  }
}
