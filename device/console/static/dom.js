// Elements, icons and times: what every part of the page is made of.

const SVG = "http://www.w3.org/2000/svg";

/** An element; attributes with a function value are listeners, null and false ones are left out. Text is never HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of index.html's symbols; decorative, words stand beside it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

let ahead = 0; // seconds the unit's clock is ahead of this browser's

export function setNow(unitNow) {
  ahead = unitNow - Date.now() / 1000;
}

export const now = () => Date.now() / 1000 + ahead;

/** 03:14:07, local time, always 24 hours. */
export const clock = (wall) => CLOCK.format(new Date(wall * 1000));

/** Today, Yesterday, Sunday 22 November. */
export function day(wall) {
  const date = new Date(wall * 1000);
  const today = new Date(now() * 1000);
  const days = Math.round((new Date(today).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(date);
}

/** 12 min ago. */
export function ago(wall) {
  const seconds = Math.max(0, now() - wall);
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86400);
  return `${days} day${days === 1 ? "" : "s"} ago`;
}

/** A time that keeps saying how long ago it was. */
export function agoElement(wall) {
  return h("time", { "data-ago": wall, datetime: new Date(wall * 1000).toISOString() }, ago(wall));
}

setInterval(() => {
  for (const element of document.querySelectorAll("[data-ago]")) {
    const text = ago(Number(element.dataset.ago));
    if (element.textContent !== text) element.textContent = text;
  }
}, 5000);

/** JSON of an address; a refusal becomes an Error with the server's own sentence. */
export async function ask(address, options) {
  const answer = await fetch(address, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || `the unit answered ${answer.status}`);
  return body;
}
