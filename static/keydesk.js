// What makes a page quicker with JavaScript; every page works without this file.
"use strict";

const say = (sentence) => {
  const place = document.getElementById("said");
  if (place) place.textContent = sentence;
};

// Copy buttons stand hidden in the page, because without JavaScript they could do nothing.
const showCopyButtons = (root) => {
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
};

const copy = async (button) => {
  const code = button.closest("[data-copyable]").querySelector("code");
  const words = button.querySelector("[data-copy-word]");
  try {
    await navigator.clipboard.writeText(code.textContent);
    words.textContent = "Copied";
    say(`${button.dataset.copy} copied.`);
    setTimeout(() => { words.textContent = "Copy"; }, 2000);
  } catch {
    getSelection().selectAllChildren(code);
    say("The text is selected. Copy it with your keyboard.");
  }
};

// A second click on a form that is on its way sends nothing. The button keeps its name and value,
// so it is disabled only after the browser has read the form.
const sendOnce = (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; button.dataset.pressed = "yes"; });
};

// Coming back with the browser's Back button: the forms of the kept page may be sent again.
const wakeForms = () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("button[data-pressed]")) {
    button.disabled = false;
    delete button.dataset.pressed;
  }
};

// <input data-refine="profiles"> narrows the children of #profiles to those with all its words.
const refine = (input) => {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const list = document.getElementById(input.dataset.refine);
  let shown = 0;
  for (const item of list.children) {
    const text = item.textContent.toLowerCase();
    // What is chosen stays in sight: nobody sends a choice they cannot see.
    item.hidden = !words.every((word) => text.includes(word)) && !item.querySelector("input[type=radio]:checked");
    shown += item.hidden ? 0 : 1;
  }
  say(`${shown} of ${list.children.length} shown.`);
};

const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
};

document.addEventListener("submit", sendOnce);
window.addEventListener("pageshow", (event) => { if (event.persisted) wakeForms(); });
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
  closeMenus(event.target.closest("details.menu"));
});
document.addEventListener("input", (event) => {
  if (event.target.dataset.refine) refine(event.target);
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("htmx:load", (event) => showCopyButtons(event.detail.elt));

showCopyButtons(document);
for (const input of document.querySelectorAll("input[data-refine]")) input.closest(".field").hidden = false;
document.querySelector("[data-focus]")?.focus();
