// Asking, and showing hits and the document beside them.
const $ = (id) => document.getElementById(id);
const asking = { like: [], unlike: [], facets: [], within: null, turn: 0, timer: 0, running: null, hits: [] };

async function call(path, options = {}) {
  const headers = { "Content-Type": "application/json" };
  if ($("key").value) headers.Authorization = "Bearer " + $("key").value;
  const reply = await fetch(path, { ...options, headers, body: options.body && JSON.stringify(options.body) });
  if (reply.status === 401) $("keyed").hidden = false;
  const json = await reply.json().catch(() => ({ error: `the server answered ${reply.status}` }));
  if (!reply.ok) throw Object.assign(new Error(json.error ?? reply.statusText), { status: reply.status });
  return json;
}
const ofIndex = (rest) => `v1/indexes/${encodeURIComponent($("index").value)}/${rest}`;
const documentPath = (id) => ofIndex("documents/" + id.split("/").map(encodeURIComponent).join("/"));

function tell(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

// Parts of a text that the server counts in bytes of UTF-8, as elements around the rest.
function marked(text, spans) {
  const bytes = new TextEncoder().encode(text), decoder = new TextDecoder();
  const part = (start, end) => decoder.decode(bytes.subarray(start, end));
  const build = (start, end, spans) => {
    const made = [];
    let at = start;
    for (let next = 0; next < spans.length; next++) {
      const span = spans[next];
      if (span.start < at || span.end > end) continue;
      if (span.start > at) made.push(part(at, span.start));
      const inner = spans.slice(next + 1).filter((other) => other.start >= span.start && other.end <= span.end);
      const element = make(span.tag, undefined, span.kind);
      element.append(...build(span.start, span.end, inner));
      made.push(element);
      at = span.end;
    }
    if (at < end) made.push(part(at, end));
    return made;
  };
  const sorted = spans.slice().sort((a, b) => a.start - b.start || b.end - a.end);
  return { all: () => build(0, bytes.length, sorted), within: (start, end) => build(start, end, sorted.filter((span) => span.start >= start && span.end <= end)) };
}
function spansOf(hit) {
  const { sentence, words } = hit.highlight ?? {};
  const spans = (words ?? []).map(([start, end]) => ({ start, end, tag: "mark" }));
  if (sentence) spans.push({ start: sentence[0], end: sentence[1], tag: "span", kind: "sentence" });
  return spans;
}

function fieldsOf(metadata) {
  const list = make("dl");
  for (const [name, value] of Object.entries(metadata)) {
    list.append(make("dt", name), make("dd", typeof value === "string" ? value : JSON.stringify(value)));
  }
  return list;
}

function closeDocument() {
  $("document").hidden = true;
  document.querySelector("[aria-current]")?.focus();
  document.querySelectorAll("[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
}

function show(hit, button) {
  for (const other of document.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  button?.setAttribute("aria-current", "true");
  const close = make("button", "×", "close");
  close.type = "button";
  close.setAttribute("aria-label", "Close the document");
  close.addEventListener("click", closeDocument);
  const spans = spansOf(hit);
  if (hit.passage) spans.push({ start: hit.passage.start, end: hit.passage.end, tag: "span", kind: "passage" });
  const text = make("pre");
  text.append(...marked(hit.text, spans).all());
  $("document").hidden = false;
  $("document").replaceChildren(close, make("h2", hit.id), fieldsOf(hit.metadata), text);
  const place = text.querySelector(".sentence") ?? text.querySelector(".passage") ?? text.querySelector("mark");
  $("document").scrollTop = 0;
  if (place) {
    const off = place.getBoundingClientRect().top - $("document").getBoundingClientRect().top;
    const tall = $("document").clientHeight;
    if (off > tall * 0.7) $("document").scrollTop = off - tall / 3;
  }
}

function hitLine(hit) {
  const line = make("li"), button = make("button", undefined, "hit"), text = make("span", undefined, "text");
  const { start, end } = hit.passage ?? { start: 0, end: Infinity };
  const parts = marked(hit.text, spansOf(hit));
  text.append(...(hit.passage ? parts.within(start, end) : parts.all()));
  button.type = "button";
  button.append(make("span", hit.score.toFixed(3), "score"), make("span", hit.id, "id"), text);
  button.addEventListener("click", () => show(hit, button));
  const more = make("div", undefined, "more");
  for (const [name, list] of [["More like this", asking.like], ["Not like this", asking.unlike]]) {
    const ask = make("button", name);
    ask.type = "button";
    ask.setAttribute("aria-label", `${name}: ${hit.id}`);
    ask.addEventListener("click", () => { if (!list.includes(hit.id)) list.push(hit.id); changed(); });
    more.append(ask);
  }
  line.append(button, more);
  return line;
}

const quoted = (value) => (/^[\p{L}_][\p{L}\p{N}_-]*$/u.test(value) && !/^(and|or|not|in)$/i.test(value) ? value : JSON.stringify(value));
const isNumber = (value) => value.trim() !== "" && Number.isFinite(Number(value));

function showFacets(facets) {
  $("facets").replaceChildren(...Object.entries(facets ?? {}).map(([field, counts]) => {
    const row = make("div", undefined, "facet"), entries = Object.entries(counts);
    row.append(make("b", field));
    for (const [value, count] of entries.slice(0, 8)) {
      const button = make("button");
      button.type = "button";
      button.append(make("span", value + " "), make("span", count.toLocaleString("en"), "count"));
      button.addEventListener("click", () => {
        const part = `${quoted(field)} = ${isNumber(value) ? value : quoted(value)}`;
        const now = $("filter").value.trim();
        $("filter").value = now ? `${/\bor\b/i.test(now) ? `(${now})` : now} and ${part}` : part;
        changed();
      });
      row.append(button);
    }
    return row;
  }).filter((row) => row.children.length > 2));
}

function showChips() {
  const chip = (name, remove) => {
    const line = make("li"), button = make("button", name + " ×");
    button.type = "button";
    button.setAttribute("aria-label", `Remove: ${name}`);
    button.addEventListener("click", () => { remove(); changed(); });
    line.append(button);
    return line;
  };
  const of = (list, name) => list.map((id) => chip(`${name} ${id}`, () => list.splice(list.indexOf(id), 1)));
  const within = asking.within ? [chip(`within the lasso: ${asking.within.ids.length.toLocaleString("en")} documents`, () => corpus.unselect())] : [];
  $("chips").replaceChildren(...of(asking.like, "like"), ...of(asking.unlike, "not like"), ...within);
}

const SHOWN = 20;

// The name of the set of documents in the lasso. The server forgets sets that were not used for long: then they are sent again.
async function within(again) {
  const chosen = asking.within;
  if (!chosen) return undefined;
  if (again || !chosen.set) chosen.set = (await call(ofIndex("sets"), { method: "POST", body: { ids: chosen.ids } })).set;
  return chosen.set;
}
async function ask(body, signal, again = false) {
  const set = await within(again);
  try {
    return await call(ofIndex("query"), { method: "POST", body: { ...body, within: set }, signal });
  } catch (error) {
    if (error.status !== 404 || !set || again) throw error;
    return ask(body, signal, true);
  }
}

async function search() {
  const turn = ++asking.turn, text = $("text").value, begun = performance.now();
  asking.running?.abort();
  asking.running = new AbortController();
  if (!text.trim() && !asking.like.length) { list([], "", null); return; }
  const body = { k: SHOWN, highlight: SHOWN, facet: asking.facets, like: asking.like, unlike: asking.unlike };
  if (text.trim()) body.text = text;
  if ($("mode").value && text.trim()) body.mode = $("mode").value;
  if ($("filter").value.trim()) body.filter = $("filter").value;
  try {
    const answer = await ask(body, asking.running.signal);
    if (turn !== asking.turn) return;
    const { hits } = answer;
    const count = hits.length === 1 ? "1 hit" : hits.length + " hits";
    const took = `in ${(performance.now() - begun).toFixed(0)} ms`;
    const where = asking.within ? " within the lasso" : "";
    list(hits, hits.length ? `${count}${where} ${took}` : `No hits${where}`, answer.facets);
  } catch (error) {
    if (turn === asking.turn && error.name !== "AbortError") tell(error.message, true);
  }
}

function list(hits, message, facets) {
  asking.hits = hits;
  tell(message);
  $("welcome").hidden = hits.length > 0 || message !== "";
  $("hits").replaceChildren(...hits.map(hitLine));
  $("document").hidden = true;
  showFacets(facets);
  corpus.mark(hits);
}

function changed() {
  showChips();
  clearTimeout(asking.timer);
  search();
}
function later() {
  clearTimeout(asking.timer);
  asking.timer = setTimeout(search, 120);
}
