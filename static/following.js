// A page that follows by itself (access being connected or ending): say aloud what has changed.
"use strict";

document.addEventListener("htmx:afterSwap", (event) => {
  const notice = document.querySelector("#access .notice p");
  const place = document.getElementById("said");
  if (event.detail.target.id === "access" && notice && place) place.textContent = notice.textContent;
});
