// Shows what the monitor says of this door, and goes back to idle when an outcome was shown long enough.
"use strict";

(() => {
  const SETTING_UP_MS = 120000; // whoever puts a tablet up reads what it needs; members need not

  const screen_ = document.getElementById("screen");
  const title = document.getElementById("title");
  const more = document.getElementById("more");
  const lines = document.getElementById("lines");
  const full = document.getElementById("full");
  const awake = document.getElementById("awake");
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

  function plain(screen, titleText, moreText) {
    show({ screen, title: titleText, more: moreText, lines: [], hold_ms: 0 });
  }

  function idle() {
    plain("idle", screen_.dataset.idleTitle, screen_.dataset.idleMore);
  }

  function changed(state) {
    if (state === "lost") plain("no_connection", screen_.dataset.lostTitle, screen_.dataset.lostMore);
    else if (state === "interrupted") screen_.classList.add("unconnected");
    else if (screen_.classList.contains("no_connection")) idle();
    else screen_.classList.remove("unconnected");
  }

  // A tablet stays awake while it shows this, where the browser lets it: over TLS alone.
  async function stayAwake() {
    try {
      await navigator.wakeLock?.request("screen");
    } catch {
      // the tablet is about to sleep by its own settings
    }
  }

  gatectlLive.follow(screen_.dataset.live, { screen: (data) => show(JSON.parse(data)) }, changed);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") stayAwake();
  });
  stayAwake();
  if (!("wakeLock" in navigator)) {
    awake.hidden = false;
    setTimeout(() => { awake.hidden = true; }, SETTING_UP_MS);
  }

  full.hidden = !document.fullscreenEnabled || document.fullscreenElement !== null;
  full.addEventListener("click", () => document.documentElement.requestFullscreen());
  document.addEventListener("fullscreenchange", () => {
    full.hidden = document.fullscreenElement !== null;
  });
})();
