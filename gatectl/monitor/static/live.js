// Keeps a page connected to its monitor, and reports to it when it is not.
//
// A page is never left for another one: a proxy's error page could come in its place, and at a door nobody reloads
// that. The page is fetched first, and put in place only if the monitor itself made the answer.
"use strict";

globalThis.gatectlLive = (() => {
  const SILENCE_MS = 8000; // heartbeats come every 3 s: two in a row are missing
  const LOOK_MS = 1000;
  const RETRY_MS = 2000;
  const ANSWER_MS = 6000; // the monitor answers in a tenth of a second
  const OURS = "X-Gatectl"; // the header of all the monitor's answers

  const SCRIPTS = 'script[src^="/static/"]'; // not those that a kiosk browser puts in
  const STYLES = 'link[rel=stylesheet][href^="/static/"]';

  function assets(page) {
    return [...page.querySelectorAll(`${SCRIPTS}, ${STYLES}`)].map(
      (element) => element.getAttribute("src") ?? element.getAttribute("href"));
  }

  async function ours(address, signal, caching) {
    const answer = await fetch(address, { signal, cache: caching });
    if (!answer.headers.has(OURS)) throw new Error("not the monitor's answer");
    if (answer.status === 401) return ours(`/login?next=${encodeURIComponent(address)}`, signal, caching);
    if (!answer.ok) throw new Error("not a page");
    return answer.text();
  }

  // This page as the monitor makes it now, with its styles and scripts at hand; null if that fails.
  async function fetched() {
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), ANSWER_MS);
    try {
      const html = await ours(location.pathname + location.search, cut.signal, "no-store");
      const page = new DOMParser().parseFromString(html, "text/html");
      await Promise.all(assets(page).map((address) => ours(address, cut.signal, "default")));
      return page;
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  // Puts the page in the place of the one that is shown; the document stays, and with it the full screen.
  function put(page, failed) {
    document.documentElement.lang = page.documentElement.lang;
    document.head.replaceWith(document.adoptNode(page.head));
    document.body.replaceWith(document.adoptNode(page.body));
    for (const inert of document.querySelectorAll(SCRIPTS)) {
      const script = document.createElement("script"); // a parsed one does not run
      script.async = false;
      script.src = inert.getAttribute("src");
      script.addEventListener("error", failed);
      inert.replaceWith(script);
    }
  }

  // Follows a stream for as long as the page is open. `handlers` take each kind of message; `changed` gets
  // "connected", "interrupted", and "lost" after some seconds without any sign of the monitor.
  // Returns a function that reloads the page.
  function follow(address, handlers, changed) {
    let source = null;
    let timer = 0;
    let state = "";
    let lastId = "";
    let isOld = false;
    let heard = performance.now();
    let opened = heard;

    function become(now) {
      if (state === now) return;
      state = now;
      changed(now);
    }

    function hear(event) {
      heard = performance.now();
      if (event.lastEventId) lastId = event.lastEventId;
      become("connected");
    }

    function close() {
      clearTimeout(timer);
      source?.close();
      source = null;
    }

    function open() {
      const where = new URL(address, location.href);
      if (lastId) where.searchParams.set("after", lastId);
      opened = performance.now();
      source = new EventSource(where);
      source.addEventListener("open", hear);
      for (const [name, take] of Object.entries({ here: () => {}, ...handlers })) {
        source.addEventListener(name, (event) => {
          hear(event);
          take(event.data);
        });
      }
      source.addEventListener("error", () => {
        if (state !== "lost") become("interrupted");
        // The browser repeats by itself what broke, but not what was answered by something else.
        if (source?.readyState === EventSource.CLOSED) later();
      });
    }

    function later() {
      close();
      timer = setTimeout(renew, RETRY_MS);
    }

    async function renew() {
      close();
      const page = await fetched();
      if (page === null) {
        later();
      } else if (isOld || String(assets(page)) !== String(assets(document))) {
        clearInterval(watch);
        put(page, later);
      } else {
        open();
      }
    }

    const watch = setInterval(() => {
      const now = performance.now();
      if (now - heard < SILENCE_MS) return;
      become("lost");
      if (source !== null && now - opened >= SILENCE_MS) renew();
    }, LOOK_MS);
    open();
    return () => {
      isOld = true;
      renew();
    };
  }

  return { follow };
})();
