// Puts new events on top as they come, and keeps the strip at the top current. Rows and strip come from the
// monitor as HTML, with everything from outside escaped there.
"use strict";

(() => {
  const ROWS_MAX = 500; // a page that stays open for weeks does not grow for ever

  const list = document.getElementById("events");
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  const health = document.getElementById("health");
  const awake = document.getElementById("awake");
  let waiting = null; // rows that came during a pause

  function rowOf(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.querySelector("tr");
  }

  function put(html) {
    const row = rowOf(html);
    if (!row || document.getElementById(row.id)) return;
    row.classList.add("new");
    if (putUnder(row)) return;
    const first = list.querySelector("tr.day th");
    if (!first || first.textContent !== row.dataset.day) {
      const day = document.createElement("tr");
      day.className = "day";
      const name = document.createElement("th");
      name.colSpan = list.parentElement.tHead.rows[0].cells.length;
      name.scope = "colgroup";
      name.textContent = row.dataset.day;
      day.append(name);
      list.prepend(day);
    }
    list.querySelector("tr.day").after(row);
    document.getElementById("empty")?.remove();
    while (list.rows.length > ROWS_MAX) list.rows[list.rows.length - 1].remove();
  }

  // Puts a passage under the scan that it belongs to, behind its other parts, if that is on the page.
  function putUnder(row) {
    let last = document.getElementById(row.dataset.partOf ?? "");
    if (!last) return false;
    while (last.nextElementSibling?.dataset.partOf === row.dataset.partOf) last = last.nextElementSibling;
    last.after(row);
    return true;
  }

  function take(html) {
    if (waiting === null) {
      put(html);
      return;
    }
    waiting.push(html);
    if (waiting.length > ROWS_MAX) waiting.shift();
    pause.textContent = `${pause.dataset.goOn} (${pause.dataset.waiting.replace("COUNT", waiting.length)})`;
  }

  function changed(state) {
    live.className = state === "connected" ? "on" : "off";
    live.textContent = state === "connected" ? live.dataset.live : live.dataset.lost;
  }

  function togglePause() {
    if (waiting === null) {
      waiting = [];
      pause.textContent = pause.dataset.goOn;
      return;
    }
    const came = waiting;
    waiting = null;
    came.forEach(put);
    pause.textContent = pause.dataset.pause;
  }

  if (list.dataset.live) {
    const beginAnew = gatectlLive.follow(list.dataset.live, {
      row: take,
      health: (html) => { health.innerHTML = html; },
      reload: () => beginAnew(),
    }, changed);
    pause.hidden = false;
    pause.addEventListener("click", togglePause);
  }
  if (awake) awake.hidden = "wakeLock" in navigator;
})();
