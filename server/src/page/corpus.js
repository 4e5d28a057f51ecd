// The map of the index: the server makes it in the background, and this asks until it is there.
const corpus = { map: null, ids: [], at: new Map(), index: null, generation: null, timer: 0, described: new Map() };

corpus.open = async function () {
  const index = $("index").value;
  clearTimeout(this.timer);
  if (!index) return;
  if (this.index !== index) this.forget();
  this.index = index;
  if (this.map) return;
  try {
    const data = await call(ofIndex("map"));
    if (this.index !== index || this.map) return;
    if (data.places === undefined) {
      $("making").textContent = `The map is being made: ${Math.round(100 * data.done)} %`;
      this.timer = setTimeout(() => { if (!$("corpus").hidden) this.open(); }, 700);
      return;
    }
    $("making").textContent = data.count ? "" : "The index is empty.";
    if (data.count) this.draw(data);
  } catch (error) {
    $("making").textContent = error.message;
  }
};

corpus.forget = function () {
  this.map = null;
  this.ids = [];
  this.at.clear();
  this.described.clear();
  this.generation = null;
  $("map").replaceChildren();
  if (asking.within) { asking.within = null; showChips(); }
};

corpus.draw = function (data) {
  this.ids = data.ids;
  this.generation = data.generation;
  data.ids.forEach((id, at) => this.at.set(id, at));
  this.map = createMap($("map"), data, {
    inset: () => ($("colours").open ? $("colours").getBoundingClientRect().right : 0),
    describe: (point, box) => this.describe(point, box),
    choose: (point) => this.read(point),
    selected: (points) => this.selected(points),
    lassoing: (on) => $("lasso").setAttribute("aria-pressed", on),
  });
  const option = ([value, name]) => Object.assign(make("option", name), { value });
  $("colour").replaceChildren(...[["", "region"], ...data.fields.map(({ name }) => [name, name])].map(option));
  const legend = () => fillLegend($("legend"), this.map, (points) => this.map.highlight(points));
  $("colour").onchange = () => { this.map.colourBy($("colour").value); legend(); };
  this.map.onScheme(legend);
  legend();
  this.mark(asking.hits);
};

corpus.describe = function (point, box) {
  const id = this.ids[point], text = make("span", this.described.get(id) ?? "…");
  box.append(make("span", id, "id"), text, make("span", this.map.regionName(point), "where"));
  if (this.described.has(id)) return;
  // Asked for when the pointer rests: a pointer that passes asks nothing.
  setTimeout(async () => {
    if (!text.isConnected) return;
    try {
      const { text: whole } = await call(documentPath(id));
      const short = whole.length > 200 ? whole.slice(0, 200) + "…" : whole;
      this.described.set(id, short);
      text.textContent = short;
    } catch (error) { text.textContent = error.message; }
  }, 90);
};

corpus.read = async function (point) {
  try {
    const hit = await call(documentPath(this.ids[point]));
    selectTab("search");
    show(hit, null);
    $("document").focus();
  } catch (error) { $("making").textContent = error.message; }
};

// Where a question belongs: among its best hits, of which the nearest to each other count.
corpus.mark = function (hits) {
  if (!this.map) return;
  const points = hits.map((hit) => this.at.get(hit.id)).filter((point) => point !== undefined);
  const best = points.slice(0, 5).map((point) => [this.map.places[2 * point], this.map.places[2 * point + 1]]);
  const middle = (axis) => best.map((place) => place[axis]).sort((a, b) => a - b)[Math.floor(best.length / 2)];
  this.map.highlight(points, best.length ? [middle(0), middle(1)] : null);
};

corpus.selected = function (points) {
  asking.within = points && points.length ? { ids: points.map((point) => this.ids[point]), set: null } : null;
  if (points && !points.length) this.map.unselect();
  changed();
};
corpus.unselect = function () {
  asking.within = null;
  this.map?.unselect();
};
