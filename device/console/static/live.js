// The live stream: server-sent events that go on where they stopped, and an honest word when they do not come.

const STALE_S = 10;
const REOPEN_MS = 3000;

/** Keeps a stream open. handlers: journal, changed, reset, alive (data objects), stale (seconds, or 0 when live). */
export class Live {
  constructor(handlers) {
    this.handlers = handlers;
    this.heard = performance.now();
    this.stale = false;
    setInterval(() => this.#judge(), 1000);
    document.addEventListener("visibilitychange", () => this.#judge());
  }

  /** Open the stream after a journal sequence number; the browser itself resumes by Last-Event-ID. */
  open(after) {
    this.seq = after;
    this.source?.close();
    this.source = new EventSource(`/api/stream?after=${after}`);
    for (const name of ["journal", "changed", "reset", "alive"]) {
      this.source.addEventListener(name, (event) => this.#hear(name, event));
    }
    this.source.onerror = () => {
      // A browser tries again by itself after a broken line, and gives up after a refusal: then we try.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.open(this.seq), REOPEN_MS);
    };
  }

  #hear(name, event) {
    this.heard = performance.now();
    if (event.lastEventId) this.seq = Number(event.lastEventId);
    this.handlers[name](JSON.parse(event.data));
    this.#judge();
  }

  #judge() {
    const silent = (performance.now() - this.heard) / 1000;
    const stale = silent > STALE_S;
    if (stale || stale !== this.stale) this.handlers.stale(stale ? Math.floor(silent) : 0);
    this.stale = stale;
  }
}
