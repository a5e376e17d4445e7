// On a narrow screen the opened request stands under the list: whoever chose it is led there.
"use strict";

const opened = document.getElementById("card");
const wasChosen = new URLSearchParams(location.search).has("selected");
if (opened && wasChosen && matchMedia("(max-width: 62.5rem)").matches) opened.scrollIntoView();
