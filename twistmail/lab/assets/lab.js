// The classroom's one script. Every page works without it; with it, what has data-live follows what happens.
//   data-live="/path" data-on="kinds" [data-about="ids"]   the fragment at /path, fetched anew when such an event comes
//   <time data-due="POSIX seconds of the lesson's clock">  counts down; with data-done="words" it says them at the end
//   <progress data-from data-due>                          fills up between the two
//   <form method="post" data-quiet [data-into="#id"]>      is sent without leaving the page
//   <a data-swap="#id">                                    shows what it leads to within #id
//   <button data-copy="#id">                               copies that text
//   <a data-fill="text" data-into="#id">                   writes it into that field
//   <input type="file" data-most data-too-much="words">    says so at once where the files have more octets
//   data-say="words" within a region                       is said to screen readers when it changes
//   <g data-flow="blue>green">                             gets the class "moving" while a letter goes that way
"use strict";
(() => {
  const SOONEST = 300; // milliseconds between two looks at the same region
  const body = document.body;
  const asPage = { "X-Requested-With": "page" };
  const regions = new Map(); // element -> its state
  let ahead = Number(body.dataset.now) - Date.now() / 1000; // of the lesson's clock
  let last = Number(body.dataset.last);
  let stream = null;
  let streaming = "";

  const now = () => Date.now() / 1000 + ahead;
  const words = (text) => (text || "").split(/[\s,]+/).filter(Boolean);

  function say(text) {
    const status = document.getElementById("said");
    if (status && text) status.textContent = text;
  }

  // Make *old* like *fresh*, keeping every node that is the same: so focus, scrolling and what is being typed stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return old;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return fresh;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return old;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !keeps(old, name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value && !keeps(old, name)) old.setAttribute(name, value);
    }
    if (old.nodeName !== "TEXTAREA" && old.nodeName !== "IFRAME") morphChildren(old, fresh);
    return old;
  }

  // What the reader has done to an element is the reader's.
  const keeps = (element, name) => (name === "open" && element.nodeName === "DETAILS") || (name === "class" && "flow" in element.dataset);
  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key : "");

  function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const child of old.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
    let place = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const key = keyOf(child);
      let same = key ? keyed.get(key) : place;
      if (!key) while (same && (keyOf(same) || same.nodeName !== child.nodeName)) same = same.nextSibling;
      if (!same) {
        old.insertBefore(child, place);
        continue;
      }
      if (same !== place) old.insertBefore(same, place);
      place = morph(same, child).nextSibling;
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  function show(region, html) {
    const before = region.querySelector("[data-say]")?.dataset.say;
    const fresh = region.cloneNode(false);
    fresh.innerHTML = html;
    const atEnd = [...region.querySelectorAll("[role=log]")].filter((log) => log.scrollTop + log.clientHeight > log.scrollHeight - 8);
    morphChildren(region, fresh);
    for (const log of atEnd) log.scrollTop = log.scrollHeight;
    const after = region.querySelector("[data-say]")?.dataset.say;
    if (after !== before) say(after);
    find();
    tick();
  }

  async function look(region) {
    const state = regions.get(region);
    state.timer = 0;
    state.busy = true;
    const began = performance.now();
    try {
      const answer = await fetch(region.dataset.live, { headers: asPage });
      if (answer.ok) show(region, await answer.text());
    } catch { /* the server is away; the stream will say when it is back */ }
    state.busy = false;
    state.rest = Math.max(SOONEST, 3 * (performance.now() - began)); // a class of thirty must not drown the teacher's computer
    if (state.again) soon(region);
  }

  function soon(region) {
    const state = regions.get(region);
    if (!state || state.timer) return;
    state.again = state.busy;
    if (!state.busy) state.timer = setTimeout(look, state.rest, region);
  }

  const everything = () => regions.forEach((_, region) => soon(region));

  function concerns(region, event) {
    const about = words(region.dataset.about);
    return words(region.dataset.on).includes(event.type) && (!about.length || about.includes(JSON.parse(event.data).about));
  }

  function heard(event) {
    last = Number(event.lastEventId) || last;
    const what = JSON.parse(event.data);
    if (event.type === "clock") ahead = Math.max(ahead, what.at - Date.now() / 1000);
    regions.forEach((_, region) => concerns(region, event) && soon(region));
    if (event.type === "mail" && what.state === "relayed") flow(what);
  }

  // A letter has gone from one office to another: its dot moves along the line, once.
  function flow(what) {
    const to = /^mx\.(\w+)\.test\b/.exec(what.host || "");
    for (const way of to ? document.querySelectorAll(`[data-flow="${what.office}>${to[1]}"]`) : []) {
      way.classList.remove("moving");
      way.getBoundingClientRect(); // so that it begins anew
      way.classList.add("moving");
    }
  }

  // Which regions there are; one stream for all that they want to hear of.
  function find() {
    const kinds = new Set();
    for (const region of regions.keys()) if (!region.isConnected) regions.delete(region);
    for (const region of document.querySelectorAll("[data-live]")) {
      if (!regions.has(region)) regions.set(region, { timer: 0, rest: 0, busy: false, again: false });
      words(region.dataset.on).forEach((kind) => kinds.add(kind));
    }
    if (document.querySelector("[data-flow]")) kinds.add("mail");
    if (kinds.size) kinds.add("clock");
    const wanted = [...kinds].sort().join(",");
    if (wanted !== streaming) {
      streaming = wanted;
      listen();
    }
  }

  // A hidden page gives its stream back: a browser has six connections for all of its pages.
  function listen() {
    stream?.close();
    stream = null;
    if (!streaming || document.hidden) return;
    stream = new EventSource(`/events?kinds=${streaming}&after=${last}`);
    for (const kind of streaming.split(",")) stream.addEventListener(kind, heard);
    stream.addEventListener("gap", (event) => {
      last = Number(event.lastEventId) || 0;
      everything();
    });
    stream.addEventListener("open", () => body.classList.remove("away"));
    stream.addEventListener("error", () => {
      body.classList.add("away");
      if (stream?.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
    });
  }

  function countdown(seconds) {
    const left = Math.max(0, Math.ceil(seconds));
    const [hours, minutes, rest] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    const two = (number) => String(number).padStart(2, "0");
    if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }

  function tick() {
    for (const time of document.querySelectorAll("time[data-due]")) {
      const left = Number(time.dataset.due) - now();
      const text = left > 0 ? countdown(left) : time.dataset.done || "now";
      if (time.textContent !== text) time.textContent = text;
      if (text === "0:10" && time.dataset.say10) say(time.dataset.say10);
    }
    for (const bar of document.querySelectorAll("progress[data-due]")) {
      const [from, due] = [Number(bar.dataset.from), Number(bar.dataset.due)];
      bar.max = 1;
      bar.value = due > from ? Math.min(1, Math.max(0, (now() - from) / (due - from))) : 1;
    }
    for (const clock of document.querySelectorAll("time[data-clock]")) {
      clock.textContent = new Date(now() * 1000).toTimeString().slice(0, 8);
    }
  }

  async function send(form, submitter) {
    const fields = new URLSearchParams(new FormData(form, submitter));
    const where = submitter?.getAttribute("formaction") || form.getAttribute("action") || location.href;
    form.setAttribute("aria-busy", "true");
    // Emptied at once: who types on while the answer is under way keeps what he has typed.
    const typed = form.hasAttribute("data-reset") ? [...form.elements].map((field) => ({ field, value: field.value })) : [];
    if (typed.length) form.reset();
    for (const one of typed) one.empty = one.field.value;
    const putBack = () => typed.forEach(({ field, value, empty }) => { if (field.value === empty) field.value = value; });
    try {
      const answer = await fetch(where, { method: "POST", headers: asPage, body: fields });
      const text = answer.status === 204 ? "" : await answer.text();
      const into = form.dataset.into && document.querySelector(form.dataset.into);
      const isPage = (answer.headers.get("Content-Type") || "").startsWith("text/html");
      if (into && isPage) show(into, text);
      else if (!isPage) say(text.trim());
      else if (!answer.ok) say(`That did not work (${answer.status}).`);
      if (!answer.ok) putBack();
      const next = answer.headers.get("X-Location");
      if (form.hasAttribute("data-go") && next) location.href = next;
    } catch {
      putBack();
      say("The classroom does not answer. Is it still running?");
    }
    form.removeAttribute("aria-busy");
    everything();
  }

  async function swap(link) {
    const answer = await fetch(link.href, { headers: asPage });
    if (!answer.ok) return void (location.href = link.href);
    const region = document.querySelector(link.dataset.swap);
    if (region.hasAttribute("data-live")) region.dataset.live = link.getAttribute("href");
    show(region, await answer.text());
    history.replaceState(null, "", link.dataset.address || location.href);
  }

  async function copy(button) {
    const from = document.querySelector(button.dataset.copy);
    const text = from.value ?? from.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // not on localhost and not on TLS: the old way
      getSelection().selectAllChildren(from);
      document.execCommand("copy");
    }
    say("Copied");
  }

  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.sure || event.target.dataset.sure;
    if (question && !confirm(question)) return event.preventDefault();
    if (!event.target.hasAttribute("data-quiet")) return;
    event.preventDefault();
    send(event.target, event.submitter);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-swap]");
    const button = event.target.closest("button[data-copy]");
    const beside = event.target.closest("a[target]");
    const filling = event.target.closest("a[data-fill]");
    const field = filling && document.querySelector(filling.dataset.into);
    if (field) {
      event.preventDefault();
      field.value = filling.dataset.fill;
      return field.focus();
    }
    if (beside) document.querySelector(`iframe[name="${CSS.escape(beside.target)}"]`)?.scrollIntoView({ block: "nearest" });
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      swap(link);
    } else if (button) copy(button);
  });
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.matches("[data-submit]")) field.form.requestSubmit();
    if (field.matches("[data-most]")) {
      const octets = [...field.files].reduce((sum, file) => sum + file.size, 0);
      field.setCustomValidity(octets > Number(field.dataset.most) ? field.dataset.tooMuch : "");
      field.reportValidity();
    }
  });
  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden) everything();
  });
  addEventListener("online", listen);
  addEventListener("pageshow", (event) => event.persisted && listen());
  body.classList.add("scripted");
  find();
  tick();
  setInterval(() => document.hidden || tick(), 500);
})();
