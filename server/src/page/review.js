// What is worth a look in the index: skipped files, slow queries, and, when asked for, near duplicates and truncated texts.

function tableOf(name, heads, rows) {
  const scroll = make("div", undefined, "scroll"), table = make("table"), head = make("tr");
  heads.forEach((name) => head.append(Object.assign(make("th", name), { scope: "col" })));
  table.append(make("thead"), make("tbody"));
  table.tHead.append(head);
  for (const cells of rows) {
    const row = make("tr");
    row.append(...cells.map((cell) => make("td", String(cell))));
    table.tBodies[0].append(row);
  }
  scroll.append(table);
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", name);
  return scroll;
}

async function showNoted() {
  const noted = [];
  try {
    const { skipped, slow } = await call(ofIndex("state"));
    if (skipped?.count) {
      noted.push(make("h3", `${number(skipped.count)} files gave no document`),
        tableOf("Skipped files", ["file", "reason"], skipped.files.map(({ file, reason }) => [file, reason])));
    }
    if (slow.length) {
      const row = ({ at, ms, encoding_ms, mode, k, filter, text }) => [
        new Date(at * 1000).toLocaleTimeString(), ms.toFixed(1), encoding_ms.toFixed(1), mode ?? "chosen", k, filter ? "yes" : "no", text ?? "not kept",
      ];
      noted.push(make("h3", "The slowest queries of the last hour"),
        tableOf("Slow queries", ["at", "ms", "of it encoding", "by", "hits", "filter", "text"], slow.map(row)));
    }
    if (!noted.length) noted.push(make("p", "No file was skipped as far as is known, and nobody has asked within the last hour.", "soft"));
  } catch (error) { noted.push(make("p", error.message)); }
  $("noted").replaceChildren(...noted);
}

// Goes through the documents on the server, which may take a while.
async function look(button, path, show) {
  const say = (text) => { $("looked").textContent = text; };
  button.disabled = true;
  say("Going through the documents …");
  $("looked-at").replaceChildren();
  try {
    const [text, ...shown] = show(await call(ofIndex(path)));
    say(text);
    $("looked-at").replaceChildren(...shown);
  } catch (error) { say(error.message); }
  button.disabled = false;
}

function shownDuplicates({ compared, documents, groups, duplicates, largest }) {
  const among = compared < documents ? `the newest ${number(compared)} of ${number(documents)} documents` : `${number(documents)} documents`;
  const rows = largest.flatMap((group, at) => group.documents.map(({ id, score, text }) => [at + 1, id, score.toFixed(3), text]));
  return [`${number(duplicates)} near duplicates in ${number(groups)} groups among ${among}.`,
    ...(rows.length ? [tableOf("Near duplicates", ["group", "document", "cosine", "text"], rows)] : [])];
}

function shownTruncated({ looked_at, documents, truncated, first }) {
  const among = looked_at < documents ? `the newest ${number(looked_at)} of ${number(documents)} documents` : `${number(documents)} documents`;
  const rows = first.map(({ id, tokens, read }) => [id, number(tokens), number(read)]);
  return [truncated ? `${number(truncated)} texts are longer than the model reads, among ${among}.` : `The model reads the whole of every text, among ${among}.`,
    ...(rows.length ? [tableOf("Truncated documents", ["document", "tokens", "read"], rows)] : [])];
}

$("look-duplicates").addEventListener("click", (event) => look(event.target, "duplicates", shownDuplicates));
$("look-truncated").addEventListener("click", (event) => look(event.target, "truncated", shownTruncated));
