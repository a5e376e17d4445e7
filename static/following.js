// A page that follows by itself (access being connected or ending, an emergency): say aloud what has changed.
"use strict";

const FOLLOWED = ["access", "emergency"];

document.addEventListener("htmx:afterSwap", (event) => {
  const { id } = event.detail.target;
  const notice = document.querySelector(`#${id} .notice p`);
  const place = document.getElementById("said");
  if (FOLLOWED.includes(id) && notice && place) place.textContent = notice.textContent;
});
