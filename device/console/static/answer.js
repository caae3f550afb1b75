// What a person answers to an alert: I am going, I am there, closed with a cause, a false alarm, open again.

import { ask, h, icon } from "./dom.js";

const ANSWERS = {
  claim: { words: "I am going", icon: "attended" },
  arrive: { words: "I am there", icon: "over" },
  close: { words: "Close…", icon: "true", asks: "Close the alert", why: "What happened?", came: "What came of it?" },
  reject: { words: "False alarm…", icon: "false", asks: "It was a false alarm", why: "What was it?" },
  reopen: { words: "Open again…", icon: "rings", asks: "Open the alert again: it rings", why: "Why?" },
};
const BY_STATE = {
  open: ["claim", "arrive", "close", "reject"],
  claimed: ["arrive", "claim", "close", "reject"],
  arrived: ["arrive", "close", "reject"],
  closed: ["reopen"],
  rejected: ["reopen"],
};
const OVER_BY_ITSELF = ["close", "reject", "reopen"];
const CAUSES = ["slipped or tripped", "slid out of bed", "fell from a chair or wheelchair", "got up alone", "was lowered by staff"];
const NAME = "name";

/** A card with the answers that count now; done() is called when one has. */
export function answers(event, done) {
  const name = h("input", { id: "answer-name", autocomplete: "name", maxlength: 64, required: true,
    value: localStorage.getItem(NAME) || "", change: () => localStorage.setItem(NAME, name.value.trim()) });
  const said = h("p", { class: "said", role: "status" });
  const give = async (action, more = {}) => {
    said.textContent = "";
    if (!name.value.trim()) {
      said.textContent = "Write your name first: everybody else is told who it is.";
      name.focus();
      return;
    }
    localStorage.setItem(NAME, name.value.trim());
    try {
      await ask(`/api/events/${event.incident_id}/answer`, {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ action, by: name.value.trim(), nonce: nonce(), ...more }) });
      await done("Kept in the journal, and told to everybody.");
    } catch (error) {
      said.textContent = `It does not count: ${error.message}`;
    }
  };
  const buttons = (BY_STATE[event.state] || OVER_BY_ITSELF).map((action) => {
    const one = ANSWERS[action];
    const words = action === "arrive" && event.state === "arrived" ? "I am still there" : one.words;
    return h("button", { type: "button", "data-answer": action,
      click: () => (one.asks ? wording(one, (more) => give(action, more)) : give(action)) }, icon(one.icon), words);
  });
  return h("section", { class: "card answers", "aria-label": "Answer the alert" },
    h("label", { for: "answer-name" }, "Your name", name), h("div", { class: "label-buttons" }, buttons), said);
}

/** Ask for the words that go with an answer; Escape or Cancel gives none. */
function wording(one, give) {
  const why = h("input", { id: "answer-cause", maxlength: 500, list: one.came ? "answer-causes" : null });
  const came = one.came && h("input", { id: "answer-outcome", maxlength: 500 });
  const form = h("form", { submit: (event) => {
    event.preventDefault();
    dialog.close();
    give({ cause: why.value.trim(), ...(came ? { outcome: came.value.trim() } : {}) });
  } },
    h("label", { for: "answer-cause" }, one.why, why),
    one.came && h("datalist", { id: "answer-causes" }, CAUSES.map((cause) => h("option", { value: cause }))),
    came && h("label", { for: "answer-outcome" }, one.came, came),
    h("div", { class: "label-buttons" },
      h("button", { type: "submit", class: "play" }, one.asks),
      h("button", { type: "button", click: () => dialog.close() }, "Cancel")));
  const dialog = h("dialog", { class: "wording", "aria-labelledby": "answer-title", close: () => dialog.remove() },
    h("h2", { id: "answer-title" }, one.asks), form);
  document.body.append(dialog);
  dialog.showModal();
}

function nonce() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
