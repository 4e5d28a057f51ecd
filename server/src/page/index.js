// The state of the index, and adding documents to it.
const number = (value) => value.toLocaleString("en");
function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < 4) { count /= 1000; at++; }
  return `${at ? count.toFixed(1) : count} ${units[at]}`;
}

// The fields that divide documents: those whose values are texts or numbers that come again.
async function chooseFacets() {
  asking.facets = [];
  try {
    const { facets } = await call(ofIndex("fields"));
    asking.facets = facets;
  } catch { /* without fields there are no facets */ }
}

async function showState() {
  showNoted();
  try {
    const stat = await call(ofIndex("stat"));
    const figures = make("dl");
    const say = (name, value) => { if (value !== null && value !== undefined) figures.append(make("dt", name), make("dd", String(value))); };
    say("documents", number(stat.documents));
    say("passages", `${number(stat.passages)} (size: ${stat.passage_size})`);
    say("deleted, not yet compacted", number(stat.deleted));
    say("searched without a graph", number(stat.pending));
    say("on the disk", bytes(stat.bytes_on_disk));
    say("model", stat.model?.location);
    say("numbers a vector", `${stat.dimension}, compared by ${stat.similarity}`);
    say("candidates of a search (ef)", stat.ef);
    const rows = stat.segments.map((segment) => [segment.id, number(segment.documents), number(segment.deleted),
      segment.graph_edges === null ? "no graph" : number(segment.graph_edges)]);
    const segments = stat.segments.length ? [make("h2", "Segments"), tableOf("Segments", ["segment", "documents", "deleted", "edges"], rows)] : [make("p", "There are no segments yet: all documents are searched exactly.", "soft")];
    $("figures").replaceChildren(make("h2", $("index").value), figures, ...segments);
  } catch (error) {
    $("figures").replaceChildren(make("p", error.message));
  }
}

const MOST = 256;
// Documents of a file: a line of JSON each, a row of CSV each, or the whole of a text.
async function documentsOf(file) {
  const text = await file.text(), name = file.webkitRelativePath || file.name;
  const given = ({ id, text, ...metadata }, at) => ({ id: id === undefined ? `${name}:${at + 1}` : String(id), text: String(text ?? ""), metadata });
  if (/\.(jsonl|ndjson)$/i.test(name)) return text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line)).map(given);
  if (/\.json$/i.test(name)) { const json = JSON.parse(text); return (Array.isArray(json) ? json : [json]).map(given); }
  if (/\.csv$/i.test(name)) {
    const [head, ...rows] = csv(text);
    return rows.map((row) => Object.fromEntries(head.map((field, at) => [field, row[at]]))).map(given);
  }
  return [{ id: name, text, metadata: {} }];
}
function csv(text) {
  const rows = [[""]];
  let within = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at], row = rows[rows.length - 1];
    if (within && letter === '"' && text[at + 1] === '"') { row[row.length - 1] += '"'; at++; }
    else if (letter === '"') within = !within;
    else if (letter === "," && !within) row.push("");
    else if (letter === "\n" && !within) rows.push([""]);
    else if (letter !== "\r" || within) row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}

async function add(files) {
  const say = (text, wrong) => { $("added").textContent = text; $("added").classList.toggle("wrong", Boolean(wrong)); };
  const count = { added: 0, replaced: 0, unchanged: 0 };
  for (const file of files) {
    try {
      const documents = await documentsOf(file);
      for (let at = 0; at < documents.length; at += MOST) {
        say(`${file.name}: ${number(at)} of ${number(documents.length)}`);
        const written = await call(ofIndex("documents"), { method: "POST", body: { documents: documents.slice(at, at + MOST) } });
        for (const what of Object.keys(count)) count[what] += written[what] ?? 0;
      }
    } catch (error) {
      say(`${file.name}: ${error.message}`, true);
      return;
    }
  }
  say(`${number(count.added)} added, ${number(count.replaced)} replaced, ${number(count.unchanged)} unchanged`);
  showState();
  corpus.forget();
  chooseFacets();
}
$("files").addEventListener("change", () => add([...$("files").files]));
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    $("drop").classList.toggle("over", over);
    if (name === "dragover") selectTab("state");
    if (name === "drop") add([...event.dataTransfer.files]);
  });
}
