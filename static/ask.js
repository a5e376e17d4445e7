// What makes asking quicker: the date a number of days means, and no length beyond the chosen access's longest.
"use strict";

const other = document.querySelector("[data-other-days]");
const number = other?.querySelector("input");
const otherChoice = document.querySelector("input[name=days][value=other]");
const words = document.createElement("p");
words.className = "hint";
words.setAttribute("role", "status");
other?.append(words);

const longest = () => Number(document.querySelector("input[name=profile]:checked")?.dataset.longest
  || document.querySelector("[data-longest]:not(input)")?.dataset.longest || 366);

const least = Number(document.querySelector("[data-least]")?.dataset.least || 1);

const sayDate = () => {
  const days = Number(number.value);
  words.textContent = "";
  if (!number.value || !Number.isInteger(days) || days < 1) return;
  if (days > longest()) { words.textContent = `The longest time for this access is ${longest()} days.`; return; }
  if (days < least) { words.textContent = `Fewer than ${least} days would change nothing.`; return; }
  const end = new Date(other.dataset.today);
  end.setDate(end.getDate() + days);
  words.textContent = `Until ${end.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}.`;
};

const refresh = () => {
  for (const choice of document.querySelectorAll("input[name=days]")) {
    const days = Number(choice.value);
    choice.disabled = days > longest();
    if (choice.disabled) choice.checked = false;
  }
  other.hidden = !otherChoice.checked;
  sayDate();
};

if (other) {
  document.addEventListener("change", refresh);
  number.addEventListener("input", sayDate);
  refresh();
}
