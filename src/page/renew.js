// Brings this page anew in place. Loaded anew by the browser it would lose the focus, what is
// unfolded and where it is scrolled to, and would end at the first answer that does not come.
(() => {
  "use strict";
  const every = 1000 * Number(document.currentScript.dataset.seconds);
  const patience = 10000;
  const parts = ["header", "main", "footer"].map((name) => `body > ${name}`);
  const status = document.getElementById("renewal");
  let last = new Date();

  // What can have the focus, as the reader knows it: by where it leads, or what it unfolds.
  const name = (it) =>
    [it.tagName, it.id, it.getAttribute("href"), it.parentElement.dataset.key, it.textContent].join(" ");
  const places = () => [...document.querySelectorAll("a[href], button, summary")];
  const alike = (wanted) => places().filter((it) => name(it) === wanted);

  // Somebody types, or has chosen text.
  const isBusy = () =>
    document.activeElement.matches("input") || !getSelection().isCollapsed || document.hidden;

  const show = (next) => {
    const active = document.activeElement;
    const wanted = places().includes(active) ? name(active) : null;
    const which = wanted === null ? -1 : alike(wanted).indexOf(active);
    const keys = [...document.querySelectorAll("details[open]")].map((it) => it.dataset.key);
    const unfolded = new Set(keys);
    const [left, top] = [scrollX, scrollY];
    for (const part of parts) {
      document.querySelector(part).replaceChildren(...next.querySelector(part).childNodes);
    }
    document.title = next.title;
    document.querySelector("link[rel=icon]").href = next.querySelector("link[rel=icon]").href;
    for (const it of document.querySelectorAll("details")) it.open = unfolded.has(it.dataset.key);
    if (wanted !== null) {
      const same = alike(wanted);
      (same[which] ?? same[0] ?? document.getElementById("main")).focus({ preventScroll: true });
    }
    scrollTo({ left, top, behavior: "instant" });
  };

  const renew = async () => {
    try {
      const signal = AbortSignal.timeout(patience);
      const answer = await fetch(location.href, { cache: "no-store", signal });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (isBusy()) return;
      show(next);
      last = new Date();
      status.textContent = "";
    } catch (error) {
      const text = `This page is of ${last.toISOString()}: a newer one cannot be had (${error.message})`;
      if (status.textContent !== text) status.textContent = text;
    }
  };

  const wait = () => setTimeout(async () => {
    if (!isBusy()) await renew();
    wait();
  }, every);
  wait();
})();
