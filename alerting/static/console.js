// Looks again by itself and says so when it cannot: a page that stopped without a word would be believed.
"use strict";

(() => {
  const EVERY_MS = 15000;
  const stale = document.getElementById("stale");
  let asOf = new Date();

  const warn = (text) => {
    stale.textContent = text;
    stale.hidden = false;
  };

  const clock = (date) => date.toTimeString().slice(0, 8);

  // What somebody is at work on is left alone.
  const inUse = (part) => part.contains(document.activeElement) || part.querySelector("details[open]") !== null;

  const replace = (fresh) => {
    document.title = fresh.title;
    for (const part of document.querySelectorAll(".live")) {
      const next = fresh.getElementById(part.id);
      if (next === null || inUse(part) || next.innerHTML === part.innerHTML) continue;
      part.replaceWith(document.adoptNode(next));
    }
  };

  const look = async () => {
    const response = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) });
    if (new URL(response.url).pathname !== location.pathname) {
      warn(`You are not signed in any more: this is how it was at ${clock(asOf)}. Load the page again to sign in.`);
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    replace(new DOMParser().parseFromString(await response.text(), "text/html"));
    asOf = new Date();
    stale.hidden = true;
  };

  const again = async () => {
    const began = performance.now();
    if (document.visibilityState === "visible") {
      try {
        await look();
      } catch {
        warn(`Handrail does not answer: this is how it was at ${clock(asOf)}. It is tried again.`);
      }
    }
    // A page of a thousand agents on a slow line is not asked for all the time.
    setTimeout(again, Math.max(EVERY_MS, 10 * (performance.now() - began)));
  };

  setTimeout(again, EVERY_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && new Date() - asOf > EVERY_MS) look().catch(() => undefined);
  });
})();
