// The queue from the keyboard. Every key presses a link or a button that stands on the page; without this file
// the page works as well. A row is opened in place: the card of its page takes the place of this one.
"use strict";

const rows = () => [...document.querySelectorAll("#rows tr")];
const current = () => document.querySelector("#rows tr.is-selected");
const linkOf = (row) => row.querySelector("th a");
const isNarrow = matchMedia("(max-width: 62.5rem)");
let asked = null;

const mark = (row) => {
  const before = current();
  before?.classList.remove("is-selected");
  before && linkOf(before).removeAttribute("aria-current");
  row.classList.add("is-selected");
  linkOf(row).setAttribute("aria-current", "true");
};

const fetchCard = async (address, signal) => {
  const answer = await fetch(address, { signal });
  if (!answer.ok || answer.redirected) throw new Error("This is another page.");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return document.importNode(page.getElementById("card"), true);
};

// Whoever goes down the list quickly asks for the last card alone; what cannot be fetched is gone to.
const openRow = async (row) => {
  const { href } = linkOf(row);
  mark(row);
  linkOf(row).focus();
  document.getElementById("card").inert = true; // no key presses a button of the request that was left
  asked?.abort();
  asked = new AbortController();
  try {
    const card = await fetchCard(href, asked.signal);
    document.getElementById("card").replaceWith(card);
    history.replaceState(null, "", href);
    showKeys(card);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(href);
  }
};

const step = (by) => {
  const all = rows();
  const row = all[all.indexOf(current()) + by];
  if (row) openRow(row);
};

const tick = () => {
  const box = current()?.querySelector("input[type=checkbox]");
  if (box && !box.disabled) box.click();
  else say(box ? box.title : "Nothing here can be ticked.");
};

const press = (key) => {
  const card = document.getElementById("card");
  if (card && !card.inert) card.querySelector(`[aria-keyshortcuts="${key}"]`)?.click();
};

const help = document.getElementById("keys");
const KEYS = {
  j: () => step(1), k: () => step(-1), x: tick,
  a: () => press("a"), n: () => press("n"), d: () => press("d"), c: () => press("c"),
  "?": () => help.showModal(),
};

const isTyping = (element) => element.closest("textarea, select, dialog, input:not([type=checkbox])");

document.addEventListener("keydown", (event) => {
  const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.repeat;
  const act = isPlain && !isTyping(event.target) && KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const showKeys = (root) => {
  for (const key of root.querySelectorAll("kbd[hidden]")) key.hidden = false;
};

const opened = document.getElementById("card");
const wasChosen = new URLSearchParams(location.search).has("selected");
if (opened && wasChosen) {
  // On a narrow screen the opened request stands under the list: whoever chose it is led there.
  if (isNarrow.matches) {
    opened.tabIndex = -1;
    opened.focus();
  } else linkOf(current()).focus({ preventScroll: true });
}
if (help) {
  showKeys(document);
  const button = document.querySelector("[data-keys]");
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
}
