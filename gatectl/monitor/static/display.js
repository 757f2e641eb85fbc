// Shows what the monitor says of this door, and goes back to idle when an outcome was shown long enough.
"use strict";

const screen_ = document.getElementById("screen");
const title = document.getElementById("title");
const more = document.getElementById("more");
const lines = document.getElementById("lines");
const full = document.getElementById("full");
let timer = 0;

function show(said) {
  clearTimeout(timer);
  screen_.className = said.screen;
  title.textContent = said.title;
  more.textContent = said.more;
  lines.replaceChildren(...said.lines.map((text) => {
    const line = document.createElement("li");
    line.textContent = text;
    return line;
  }));
  lines.hidden = said.lines.length === 0;
  if (said.hold_ms > 0) timer = setTimeout(idle, said.hold_ms);
}

function idle() {
  show({
    screen: "idle", title: screen_.dataset.idleTitle, more: screen_.dataset.idleMore, lines: [], hold_ms: 0,
  });
}

const source = new EventSource(screen_.dataset.live);
source.addEventListener("screen", (event) => show(JSON.parse(event.data)));
source.addEventListener("error", () => {
  screen_.classList.add("unconnected");
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
});

// A tablet stays awake while it shows this, where the browser lets it.
async function stayAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // it is the tablet's own affair, then
  }
}
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") stayAwake();
});
stayAwake();

full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", () => document.documentElement.requestFullscreen());
document.addEventListener("fullscreenchange", () => {
  full.hidden = document.fullscreenElement !== null;
});
