// The page of a map that is a file of its own.
const find = (id) => document.getElementById(id);
const points = JSON.parse(find("points").textContent);
// The texts lie behind this script: they are read when they are first needed.
let loaded = null;
function documents() {
  const data = find("texts");
  if (!loaded && data && document.readyState !== "loading") loaded = JSON.parse(data.textContent);
  return loaded ?? { ids: [], texts: [] };
}
const map = createMap(find("map"), points, {
  inset: () => find("panel").getBoundingClientRect().right,
  paintWith: new URLSearchParams(location.search).get("paint"),
  describe(point, box) {
    const { ids, texts } = documents();
    box.append(make("span", ids[point] ?? "", "id"), make("span", texts[point] ?? ""), make("span", map.regionName(point), "where"));
  },
});
const status = (text) => { find("status").textContent = text; };
const whole = () => `${points.count.toLocaleString("en")} documents`;
const legend = () => fillLegend(find("legend"), map, (found, name) => {
  map.highlight(found);
  status(`${found.length.toLocaleString("en")} documents: ${name}`);
});
find("colour").append(...[["", "region"], ...points.fields.map(({ name }) => [name, name])].map(([value, name]) => {
  const option = make("option", name);
  option.value = value;
  return option;
}));
find("colour").addEventListener("change", () => { map.colourBy(find("colour").value); legend(); });
map.onScheme(legend);
find("in").addEventListener("click", () => map.zoom(1.8));
find("out").addEventListener("click", () => map.zoom(1 / 1.8));
find("all").addEventListener("click", () => map.fit());

let lowered = null, timer = 0;
function search() {
  const text = find("text").value.trim().toLowerCase();
  if (!text) { map.highlight([]); find("hits").replaceChildren(); status(whole()); return; }
  const { ids, texts } = documents();
  lowered ??= texts.map((text) => text.toLowerCase());
  const found = [];
  lowered.forEach((other, at) => { if (other.includes(text) || ids[at].toLowerCase() === text) found.push(at); });
  map.highlight(found);
  status(found.length === 1 ? "1 text has it" : `${found.length.toLocaleString("en")} texts have it`);
  find("hits").replaceChildren(...found.slice(0, 50).map((point) => {
    const line = make("li"), button = make("button", texts[point] || ids[point]);
    button.type = "button";
    button.addEventListener("click", () => map.showPoint(point));
    line.append(button);
    return line;
  }));
}
find("text").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
  find("hits").querySelector("button")?.click();
});
if (matchMedia("(max-width: 40rem)").matches) find("colours").open = false;
legend();
status(whole());
