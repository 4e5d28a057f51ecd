// Tabs, keys, and the beginning.
const TABS = ["search", "corpus", "state"];
function selectTab(chosen) {
  for (const name of TABS) {
    const is = name === chosen, tab = $("tab-" + name);
    tab.setAttribute("aria-selected", is);
    tab.tabIndex = is ? 0 : -1;
    $(name).hidden = !is;
  }
  if (chosen === "corpus") corpus.open();
  if (chosen === "state") showState();
}
TABS.forEach((name, at) => {
  $("tab-" + name).addEventListener("click", () => selectTab(name));
  $("tab-" + name).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(at + step + TABS.length) % TABS.length];
    selectTab(next);
    $("tab-" + next).focus();
  });
});

async function begin() {
  try {
    const { indexes } = await call("v1/indexes"), before = $("index").value;
    $("index").replaceChildren(...indexes.map(({ name, documents }) => {
      const option = make("option", `${name} (${number(documents)})`);
      option.value = name;
      return option;
    }));
    if (indexes.some(({ name }) => name === before)) $("index").value = before;
    if (!indexes.length) { tell("No index is served."); return; }
    tell("");
    await chooseFacets();
    changed();
  } catch (error) {
    tell(error.message, true);
  }
}

$("text").addEventListener("input", later);
$("filter").addEventListener("input", later);
$("mode").addEventListener("change", search);
$("index").addEventListener("change", async () => {
  asking.like.length = asking.unlike.length = 0;
  $("filter").value = "";
  corpus.forget();
  $("looked").textContent = "";
  $("looked-at").replaceChildren();
  await chooseFacets();
  changed();
  if (!$("corpus").hidden) corpus.open();
  if (!$("state").hidden) showState();
});
$("key").addEventListener("change", begin);
$("form").addEventListener("submit", (event) => { event.preventDefault(); changed(); });
$("lasso").addEventListener("click", () => corpus.map?.lasso($("lasso").getAttribute("aria-pressed") !== "true"));
$("in").addEventListener("click", () => corpus.map?.zoom(1.8));
$("out").addEventListener("click", () => corpus.map?.zoom(1 / 1.8));
$("all").addEventListener("click", () => corpus.map?.fit());
if (matchMedia("(max-width: 40rem)").matches) $("colours").open = false;

document.addEventListener("keydown", (event) => {
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !inField) { event.preventDefault(); selectTab("search"); $("text").focus(); return; }
  if (event.key === "Escape" && !$("search").hidden && !$("document").hidden) { closeDocument(); return; }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const elsewhere = event.target.tagName === "SELECT" || $("document").contains(event.target) || $("search").hidden;
  if (!step || elsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
  const buttons = [...$("hits").querySelectorAll(".hit")];
  const next = buttons.indexOf(document.activeElement) + step;
  event.preventDefault();
  if (next < 0) $("text").focus();
  else if (buttons[next]) { buttons[next].focus(); buttons[next].click(); }
});
begin();
