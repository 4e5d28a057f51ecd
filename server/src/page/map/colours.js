// What colours points have, and what the colours mean.

// Colours of groups, for light and dark grounds; the last two are "others" and "without".
const GROUPS = {
  light: ["#3d63c9", "#c47f00", "#d8482f", "#2c8f86", "#3a9a4a", "#c9569b", "#7f56c9", "#4f8fd0", "#8b5e3c", "#5c7a1f", "#a3435c", "#8a8f98", "#c3c6cb"],
  dark: ["#86a3ff", "#efb118", "#ff7a66", "#5fc9bd", "#69cf77", "#ff8fc4", "#b795f5", "#8cc4f7", "#c79a78", "#a9c75a", "#e58aa0", "#8d939c", "#4a4f57"],
};
const SCALES = { light: ["#b9cfe8", "#4f86c0", "#0f2f5c"], dark: ["#2c3f5c", "#5e93c8", "#e2f0ff"] };

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// The colours of the points of a map by region, or by a field that is chosen.
function colouringOf(data, regionOf, dark) {
  const count = data.count, regions = data.regions;
  let chosen = "";
  const field = () => data.fields.find((field) => field.name === chosen);
  const codesOf = (field) => (field.unpacked ??= unpack(field.codes, Uint8Array));
  const groups = () => (dark.matches ? GROUPS.dark : GROUPS.light);
  const scale = () => (dark.matches ? SCALES.dark : SCALES.light);
  const coarsest = (region) => { while (regions[region].parent !== null) region = regions[region].parent; return region; };
  const between = (stops, code) => {
    const at = (code / 254) * 2, low = Math.min(1, Math.floor(at)), share = at - low;
    return stops[low].map((value, part) => Math.round(value + share * (stops[low + 1][part] - value)));
  };
  // The colour of each region, or of each code of the field, and which of them a point has.
  function table() {
    const palette = groups().map(rgb), by = field();
    if (!by) return [regions.map((_, region) => palette[coarsest(region) % 11]), regionOf];
    const stops = scale().map(rgb);
    const colourOf = (code) => (code === 255 ? palette[12] : by.values ? palette[Math.min(code, 11)] : between(stops, code));
    return [[...Array(256).keys()].map(colourOf), codesOf(by)];
  }
  return {
    by(name) { chosen = name; },
    // Four bytes a point, of which the last is not used.
    values() {
      const values = new Uint8Array(4 * count), [colours, codes] = table();
      for (let point = 0; point < count; point++) values.set(colours[codes[point]], 4 * point);
      return values;
    },
    // What the colours mean: [{colour, name, count, code or region}].
    legend() {
      const palette = groups(), by = field();
      if (!by) {
        return regions.map((region, at) => ({ region, at })).filter(({ region }) => region.level === 0).slice(0, 11)
          .map(({ region, at }) => ({ colour: palette[at % 11], name: region.words.join(" · ") || "no words", count: region.rows, region: at }));
      }
      if (!by.values) {
        const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2, useGrouping: false });
        return [by.least, (by.least + by.most) / 2, by.most].map((value, at) => ({ colour: scale()[at], name: number(value) }));
      }
      const counts = new Uint32Array(256);
      for (const code of codesOf(by)) counts[code]++;
      const named = by.values.map((name, code) => ({ name, code, colour: palette[code] }));
      named.push({ name: "others", code: 11, colour: palette[11] }, { name: "without", code: 255, colour: palette[12] });
      return named.map((entry) => ({ ...entry, count: counts[entry.code] })).filter((entry) => entry.count);
    },
    having(code) {
      const found = [], codes = codesOf(field());
      for (let point = 0; point < count; point++) if (codes[point] === code) found.push(point);
      return found;
    },
  };
}

// Buttons that say what the colours mean: a click goes to a region, or marks the points of a value.
function fillLegend(list, map, mark) {
  list.replaceChildren(...map.legend().map((entry) => {
    const line = make("li"), swatch = make("span", undefined, "swatch");
    swatch.style.setProperty("background", entry.colour);
    const name = entry.count === undefined ? [make("span", entry.name)] : [make("span", entry.name), make("span", entry.count.toLocaleString("en"), "count")];
    if (entry.count === undefined) { line.append(swatch, ...name); return line; }
    const button = make("button");
    button.type = "button";
    button.append(swatch, ...name);
    button.addEventListener("click", () => (entry.region !== undefined ? map.showRegion(entry.region) : mark(map.having(entry.code), entry.name)));
    line.append(button);
    return line;
  }));
}
