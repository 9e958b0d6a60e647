// What a page says of itself: each function gives a list of what is wrong, in words; an empty one is good.
// Contrast as WCAG 2.2 counts it (1.4.3), sizes of targets (2.5.8; 36 px here), names (4.1.2), headings (1.3.1).
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (e) =>
    e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) &&
    e.getClientRects().length > 0 && !e.closest(".skip, [aria-hidden=true], defs");
  const called = (e) =>
    e.tagName.toLowerCase() + (e.id ? `#${e.id}` : "") + [...e.classList].map((c) => `.${c}`).join("") +
    ` "${(e.textContent || e.value || "").trim().slice(0, 30)}"`;
  const words = (e) =>
    e.getAttribute("aria-label") || e.title || e.querySelector("title")?.textContent ||
    (e.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join("").trim();

  // Colours as [red, green, blue, how much of it], 0 to 255 and 0 to 1.
  const colour = (css) => {
    const n = css.match(/[\d.]+/g).map(Number);
    const scale = css.startsWith("color(") ? 255 : 1;
    return [n[0] * scale, n[1] * scale, n[2] * scale, n[3] ?? 1];
  };
  const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) {
      layers.push(colour(getComputedStyle(e).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((x) => (x / 255 <= 0.03928 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);

  return {
    overflow() {
      const wide = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth <= wide) return [];
      const beyond = (e) => e.getBoundingClientRect().right > wide + 1;
      return all("body *").filter((e) => seen(e) && beyond(e) && ![...e.children].some(beyond)).slice(0, 5).map((e) => `too wide: ${called(e)}`);
    },

    contrast() {
      const bad = new Map();
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const e = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || e.closest("title, option, script, style, noscript") || !seen(e)) continue;
        const drawing = e.closest("svg");
        const below = ground(drawing || e);
        const style = getComputedStyle(e);
        const is = ratio(over(colour(drawing ? style.fill : style.color), below), below);
        if (is < 5.9) bad.set(`${e.tagName} ${is.toFixed(1)}`, `contrast ${is.toFixed(1)}: ${called(e)}`);
      }
      return [...bad.values()].slice(0, 10);
    },

    targets() {
      const fields = "input:not([type=hidden]):not([type=checkbox]):not([type=radio])";
      return all(`button, .button, select, textarea, summary, nav a, ${fields}`).filter(seen)
        .map((e) => [e, e.getBoundingClientRect()]).filter(([_, box]) => box.height < 35.5 || box.width < 35.5)
        .slice(0, 10).map(([e, box]) => `${Math.round(box.width)}x${Math.round(box.height)}: ${called(e)}`);
    },

    names() {
      const wrong = [];
      for (const e of all("a[href], button, summary").filter(seen)) {
        if (!words(e) && !e.textContent.trim()) wrong.push(`no name: ${called(e)}`);
      }
      for (const e of all("input:not([type=hidden]), select, textarea").filter(seen)) {
        if (!words(e) && ![...e.labels].some((label) => label.textContent.trim())) wrong.push(`no label: ${called(e)} ${e.name}`);
      }
      for (const e of all("img:not([alt]), iframe:not([title])")) wrong.push(`no words for it: ${called(e)}`);
      const ids = all("[id]").map((e) => e.id);
      for (const id of new Set(ids.filter((id, n) => ids.indexOf(id) !== n))) wrong.push(`stands twice: #${id}`);
      for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
        for (const e of all(`[${name}]`)) {
          for (const id of e.getAttribute(name).split(" ")) if (!document.getElementById(id)) wrong.push(`${name} names nothing: ${id}`);
        }
      }
      if (!document.documentElement.lang) wrong.push("no language");
      return wrong.slice(0, 10);
    },

    headings() {
      const levels = all("h1, h2, h3, h4, h5, h6").filter(seen).map((e) => [Number(e.tagName[1]), called(e)]);
      const wrong = levels.filter(([level], n) => level > (n ? levels[n - 1][0] : 0) + 1).map(([_, said]) => `skips a level: ${said}`);
      const first = levels.filter(([level]) => level === 1).length;
      if (first !== 1) wrong.push(`${first} headings of the first level`);
      if (all("main").length !== 1) wrong.push("not one main");
      return wrong;
    },

    // How many stops there are for the Tab key.
    stops() {
      const fields = "input:not([type=hidden]):not(:disabled)";
      return all(`a[href], button:not(:disabled), ${fields}, select, textarea, summary, [tabindex="0"]`).filter(seen).length + 1;
    },

    // What has the focus, and whether that is seen; null at the end of the page.
    focus() {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const style = getComputedStyle(e);
      const box = e.getBoundingClientRect();
      const marked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || e.tagName === "IFRAME";
      return [called(e), marked && box.width > 0 && box.bottom > 0];
    },
  };
})()
