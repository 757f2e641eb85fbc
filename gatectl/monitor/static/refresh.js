// Keeps a page that has no stream current: fetches it every few seconds, and puts its content in place if that has
// changed. The page itself is never left: a proxy's error page could come in its place.
"use strict";

(() => {
  const EVERY_MS = 5000;
  const ANSWER_MS = 6000; // the monitor answers in a tenth of a second
  const OURS = "X-Gatectl"; // the header of all the monitor's answers

  const main = document.getElementById("main");
  let shown = main.innerHTML;

  function show(isConnected) {
    const live = document.getElementById("live");
    if (!live) return;
    live.className = isConnected ? "on" : "off";
    live.textContent = isConnected ? live.dataset.live : live.dataset.lost;
  }

  function put(html) {
    const focused = document.activeElement?.getAttribute("href");
    main.innerHTML = shown = html;
    if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  async function look() {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      if (!answer.headers.has(OURS)) throw new Error("not the monitor's answer");
      if (answer.redirected || answer.status === 401) location.reload(); // to the login
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const html = page.getElementById("main").innerHTML;
      if (html !== shown) put(html);
      show(true);
    } catch {
      show(false);
    }
    setTimeout(look, EVERY_MS);
  }

  show(true);
  setTimeout(look, EVERY_MS);
})();
