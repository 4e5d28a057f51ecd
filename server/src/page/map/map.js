"use strict";
// A map of points with names of regions. `createMap` draws into an element; all texts are written as text, never as markup.

const make = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

// Colours of groups, for light and dark grounds; the last two are "others" and "without".
const GROUPS = {
  light: ["#3d63c9", "#c47f00", "#d8482f", "#2c8f86", "#3a9a4a", "#c9569b", "#7f56c9", "#4f8fd0", "#8b5e3c", "#5c7a1f", "#a3435c", "#8a8f98", "#c3c6cb"],
  dark: ["#86a3ff", "#efb118", "#ff7a66", "#5fc9bd", "#69cf77", "#ff8fc4", "#b795f5", "#8cc4f7", "#c79a78", "#a9c75a", "#e58aa0", "#8d939c", "#4a4f57"],
};
const SCALES = { light: ["#b9cfe8", "#4f86c0", "#0f2f5c"], dark: ["#2c3f5c", "#5e93c8", "#e2f0ff"] };

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function unpack(text, Kind) {
  if (Uint8Array.fromBase64) return new Kind(Uint8Array.fromBase64(text).buffer);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new Kind(bytes.buffer);
}

const VERTEX = `#version 300 es
in vec2 place; in vec3 colour; uniform vec2 scale; uniform vec2 shift; uniform float size; uniform vec4 single; out vec3 shade;
void main() { gl_Position = vec4(place * scale + shift, 0.0, 1.0); gl_PointSize = size; shade = single.a > 0.0 ? single.rgb : colour; }`;
const FRAGMENT = `#version 300 es
precision mediump float; in vec3 shade; uniform float opacity; uniform float rounded; out vec4 result;
void main() {
  vec2 off = gl_PointCoord - 0.5;
  if (rounded > 0.0 && dot(off, off) > 0.25) discard;
  result = vec4(shade * opacity, opacity);
}`;

// The numbers below `count` in a random order that is always the same.
function shuffled(count) {
  const order = new Uint32Array(count);
  let state = 1;
  for (let at = 0; at < count; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (at + 1));
    order[at] = order[other];
    order[other] = at;
  }
  return order;
}

// Draws points with WebGL; null where the browser has none.
function webglPainter(canvas, places) {
  const gl = canvas.getContext("webgl2", { antialias: false, depth: false, premultipliedAlpha: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, "place");
  gl.bindAttribLocation(program, 1, "colour");
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  const at = (name) => gl.getUniformLocation(program, name);
  const uniforms = Object.fromEntries(["scale", "shift", "size", "single", "opacity", "rounded"].map((name) => [name, at(name)]));
  const buffers = [0, 1, 2].map(() => gl.createBuffer());
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers[0]);
  // In a shuffled order any beginning of the buffer shows the whole map, only thinner.
  const count = places.length / 2, rank = shuffled(count), mixed = new Float32Array(2 * count);
  for (let point = 0; point < count; point++) {
    mixed[2 * rank[point]] = places[2 * point];
    mixed[2 * rank[point] + 1] = places[2 * point + 1];
  }
  gl.bufferData(gl.ARRAY_BUFFER, mixed, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  let chosen = 0;
  return {
    colours(given) {
      const from = new Uint32Array(given.buffer), to = new Uint32Array(count), values = new Uint8Array(to.buffer);
      for (let point = 0; point < count; point++) to[rank[point]] = from[point];
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[1]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(1);
      gl.vertexAttribPointer(1, 3, gl.UNSIGNED_BYTE, true, 4, 0);
    },
    chosen(indices) {
      chosen = indices.length;
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[2]);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices.map((point) => rank[point]), gl.STATIC_DRAW);
    },
    draw(view, width, height, look) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      const sx = (2 * view.scale) / width, sy = (2 * view.scale) / height;
      gl.uniform2f(uniforms.scale, sx, sy);
      gl.uniform2f(uniforms.shift, -view.x * sx, -view.y * sy);
      const pass = (size, opacity, single) => {
        gl.uniform1f(uniforms.size, size * look.ratio);
        gl.uniform1f(uniforms.rounded, size * look.ratio > 3 ? 1 : 0);
        gl.uniform1f(uniforms.opacity, opacity);
        gl.uniform4f(uniforms.single, ...(single ? [...single.map((value) => value / 255), 1] : [0, 0, 0, 0]));
      };
      pass(look.size, look.opacity, null);
      gl.drawArrays(gl.POINTS, 0, Math.min(count, look.most));
      if (!chosen) return;
      pass(look.chosenSize + 3, 1, look.ground);
      gl.drawElements(gl.POINTS, chosen, gl.UNSIGNED_INT, 0);
      pass(look.chosenSize, 1, look.mark);
      gl.drawElements(gl.POINTS, chosen, gl.UNSIGNED_INT, 0);
    },
  };
}

// The same with a plain canvas: only the cells of the grid that are in view are drawn.
function canvasPainter(canvas, places, grid) {
  const context = canvas.getContext("2d");
  let values = null, chosen = [];
  return {
    colours(given) { values = given; },
    chosen(indices) { chosen = indices; },
    draw(view, width, height, look) {
      context.setTransform(look.ratio, 0, 0, look.ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      context.globalAlpha = look.opacity;
      const half = look.size / 2, reach = [width / 2 / view.scale, height / 2 / view.scale];
      let last = -1, at = 0;
      const every = Math.max(1, Math.ceil(values.length / 4 / look.most));
      grid.each(view.x - reach[0], view.y - reach[1], view.x + reach[0], view.y + reach[1], (point) => {
        if (at++ % every) return;
        const colour = (values[4 * point] << 16) | (values[4 * point + 1] << 8) | values[4 * point + 2];
        if (colour !== last) context.fillStyle = "#" + colour.toString(16).padStart(6, "0");
        last = colour;
        context.fillRect((places[2 * point] - view.x) * view.scale + width / 2 - half,
          (view.y - places[2 * point + 1]) * view.scale + height / 2 - half, look.size, look.size);
      });
      context.globalAlpha = 1;
      for (const [radius, colour] of [[look.chosenSize / 2 + 1.5, look.ground], [look.chosenSize / 2, look.mark]]) {
        context.fillStyle = `rgb(${colour.join(",")})`;
        for (const point of chosen) {
          context.beginPath();
          context.arc((places[2 * point] - view.x) * view.scale + width / 2,
            (view.y - places[2 * point + 1]) * view.scale + height / 2, radius, 0, 7);
          context.fill();
        }
      }
    },
  };
}

// Points by cells of a grid, to find those near a place.
function gridOf(places, box) {
  const count = places.length / 2, side = Math.max(1, Math.min(512, Math.ceil(Math.sqrt(count / 4))));
  const width = Math.max(box.right - box.left, 1e-9) / side, height = Math.max(box.top - box.bottom, 1e-9) / side;
  const within = (value) => Math.max(0, Math.min(side - 1, Math.floor(value)));
  const cell = (x, y) => within((y - box.bottom) / height) * side + within((x - box.left) / width);
  const begins = new Uint32Array(side * side + 1), points = new Uint32Array(count);
  for (let point = 0; point < count; point++) begins[cell(places[2 * point], places[2 * point + 1]) + 1]++;
  for (let at = 0; at < side * side; at++) begins[at + 1] += begins[at];
  const next = begins.slice();
  for (let point = 0; point < count; point++) points[next[cell(places[2 * point], places[2 * point + 1])]++] = point;
  return {
    each(left, bottom, right, top, show) {
      const [low, high] = [cell(left, bottom), cell(right, top)];
      for (let row = Math.floor(low / side); row <= Math.floor(high / side); row++) {
        const from = begins[row * side + (low % side)], to = begins[row * side + (high % side) + 1];
        for (let at = from; at < to; at++) show(points[at]);
      }
    },
    nearest(x, y, reach) {
      let best = -1, least = reach * reach;
      this.each(x - reach, y - reach, x + reach, y + reach, (point) => {
        const square = (places[2 * point] - x) ** 2 + (places[2 * point + 1] - y) ** 2;
        if (square < least) { least = square; best = point; }
      });
      return best;
    },
  };
}

function boxOf(places) {
  const box = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (let at = 0; at < places.length; at += 2) {
    const x = places[at], y = places[at + 1];
    if (x < box.left) box.left = x;
    if (x > box.right) box.right = x;
    if (y < box.bottom) box.bottom = y;
    if (y > box.top) box.top = y;
  }
  return places.length ? box : { left: -1, right: 1, bottom: -1, top: 1 };
}

// `hooks`: describe(point, box) fills the box that is shown beside a point; choose(point) hears a click; selected(points)
// hears a lasso; paintWith "canvas" draws without WebGL.
function createMap(root, data, hooks) {
  const places = unpack(data.places, Float32Array), regionOf = unpack(data.region_of, Uint16Array);
  const box = boxOf(places), count = data.count, regions = data.regions;
  const dark = matchMedia("(prefers-color-scheme: dark)"), still = matchMedia("(prefers-reduced-motion: reduce)");
  const points = make("canvas"), over = make("canvas"), tip = make("div", undefined, "map-tip");
  over.tabIndex = 0;
  over.setAttribute("role", "application");
  over.setAttribute("aria-roledescription", "map");
  over.setAttribute("aria-label", `Map of ${count.toLocaleString("en")} documents. Arrows move, plus and minus zoom, 0 shows all, ` +
    "Enter opens the document in the middle.");
  tip.setAttribute("role", "status");
  tip.hidden = true;
  root.classList.add("map");
  root.append(points, over, tip);
  let grid = null;
  const gridNow = () => (grid ??= gridOf(places, box));
  const painter = (hooks.paintWith !== "canvas" && webglPainter(points, places)) || canvasPainter(points, places, gridNow());
  const context = over.getContext("2d");
  const view = { x: 0, y: 0, scale: 1 };
  let width = 1, height = 1, ratio = 1, dirty = false, colouring = "", chosen = new Uint32Array(0), query = null;
  // Points that are drawn while the map moves: fewer where frames come slowly, all when it rests.
  let budget = Infinity, drawn = 0, resting = 0, whole = true;
  let hovered = -1, lasso = null, lassoing = false, motion = 0, fitted = true, frames = 0;

  const coarsest = (region) => { while (regions[region].parent !== null) region = regions[region].parent; return region; };
  const radius = new Float64Array(regions.length);
  for (let point = 0; point < count; point++) {
    for (let at = regionOf[point]; at !== null; at = regions[at].parent) {
      radius[at] += (places[2 * point] - regions[at].x) ** 2 + (places[2 * point + 1] - regions[at].y) ** 2;
    }
  }
  regions.forEach((region, at) => { radius[at] = Math.sqrt(radius[at] / Math.max(region.rows, 1)); });

  const fieldOf = () => data.fields.find((field) => field.name === colouring);
  const groups = () => (dark.matches ? GROUPS.dark : GROUPS.light);
  // The colour of each point, and what the colours mean.
  function paint() {
    const palette = groups().map(rgb), values = new Uint8Array(4 * count), field = fieldOf();
    let colourOf;
    if (field) {
      field.unpacked ??= unpack(field.codes, Uint8Array);
      const codes = field.unpacked, stops = (dark.matches ? SCALES.dark : SCALES.light).map(rgb);
      const table = [...Array(256).keys()].map((code) => {
        if (code === 255) return palette[12];
        if (field.values) return palette[Math.min(code, 11)];
        const at = (code / 254) * 2, low = Math.min(1, Math.floor(at)), share = at - low;
        return stops[low].map((value, part) => Math.round(value + share * (stops[low + 1][part] - value)));
      });
      colourOf = (point) => table[codes[point]];
    } else {
      const table = regions.map((_, region) => palette[coarsest(region) % 11]);
      colourOf = (point) => table[regionOf[point]];
    }
    for (let point = 0; point < count; point++) {
      const colour = colourOf(point);
      values[4 * point] = colour[0];
      values[4 * point + 1] = colour[1];
      values[4 * point + 2] = colour[2];
    }
    painter.colours(values);
    redraw();
  }

  // A panel over the left side of a wide map covers points that are there: `hooks.inset` tells how far it reaches.
  const inset = () => (width > 700 && hooks.inset ? hooks.inset() : 0);
  function fit() {
    const left = inset(), wide = Math.max(box.right - box.left, 1e-6), tall = Math.max(box.top - box.bottom, 1e-6);
    const scale = 0.9 * Math.min((width - left) / wide, height / tall);
    return { x: (box.left + box.right) / 2 - left / 2 / scale, y: (box.bottom + box.top) / 2, scale };
  }
  const limits = () => { const whole = fit().scale; return [whole / 2, whole * 400]; };

  function go(target, at) {
    const [least, most] = limits();
    const end = { ...view, ...target };
    end.scale = Math.max(least, Math.min(most, end.scale));
    cancelAnimationFrame(motion);
    fitted = false;
    if (still.matches || at === "now") { Object.assign(view, end); redraw(); return; }
    const begin = { ...view }, started = performance.now();
    const step = (now) => {
      const share = Math.min(1, Math.max(0, (now - started) / 260)), eased = 1 - (1 - share) ** 3;
      view.scale = begin.scale * (end.scale / begin.scale) ** eased;
      view.x = begin.x + (end.x - begin.x) * eased;
      view.y = begin.y + (end.y - begin.y) * eased;
      redraw();
      if (share < 1) motion = requestAnimationFrame(step);
    };
    motion = requestAnimationFrame(step);
  }

  const toScreen = (x, y) => [(x - view.x) * view.scale + width / 2, (view.y - y) * view.scale + height / 2];
  const toPlane = (x, y) => [(x - width / 2) / view.scale + view.x, view.y - (y - height / 2) / view.scale];

  function zoom(factor, x = width / 2, y = height / 2, at) {
    const [px, py] = toPlane(x, y), [least, most] = limits();
    const scale = Math.max(least, Math.min(most, view.scale * factor));
    go({ scale, x: px - (x - width / 2) / scale, y: py + (y - height / 2) / scale }, at);
  }

  function redraw() {
    if (dirty) return;
    dirty = true;
    requestAnimationFrame(draw);
  }

  function draw() {
    dirty = false;
    frames++;
    const now = performance.now(), gap = now - drawn;
    drawn = now;
    const isMoving = gap < 400 && !whole;
    if (isMoving && gap > 30) budget = Math.max(8000, Math.min(budget, count) * 0.6);
    else if (isMoving && gap < 19) budget = Math.min(count, budget * 1.15);
    const most = isMoving ? budget : count;
    whole = false;
    clearTimeout(resting);
    if (most < count) resting = setTimeout(() => { whole = true; redraw(); }, 160);
    const style = getComputedStyle(root), colour = (name) => style.getPropertyValue(name).trim();
    const [ground, ink, mark] = ["--ground", "--ink", "--hit"].map(colour);
    const zoomed = view.scale / fit().scale;
    const sparse = Math.max(0, Math.min(1, (5 - Math.log10(Math.max(count, 10))) / 3));
    const size = Math.min(11, (1.6 + 5.4 * sparse) * Math.max(1, zoomed ** 0.32));
    const opacity = (chosen.length || query ? 0.42 : 0.85) * (dark.matches ? 0.9 : 1);
    painter.draw(view, width, height,
      { ratio, size, opacity, most, chosenSize: Math.max(7, size + 2), ground: rgb(ground), mark: rgb(mark) });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    drawLabels(ground, ink);
    drawMarks(ground, ink, mark);
    if (frames === 1) performance.mark("map");
  }

  // Names of regions: coarse ones first, finer ones where their regions have become wide enough, none over another.
  function drawLabels(ground, ink) {
    const taken = [];
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    for (let at = 0; at < regions.length && taken.length < 70; at++) {
      const region = regions[at], wide = radius[at] * view.scale;
      if (!region.words.length || (region.level > 0 && wide < 30) || wide > Math.max(width, height)) continue;
      const [x, y] = toScreen(region.x, region.y);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      const size = [15, 13, 12][Math.min(region.level, 2)];
      context.font = `${[700, 600, 500][Math.min(region.level, 2)]} ${size}px system-ui, sans-serif`;
      region.label ??= region.words.slice(0, region.level === 0 ? 2 : 3).join(" · ");
      region.wide ??= context.measureText(region.label).width;
      const half = region.wide / 2 + 6, tall = size / 2 + 5;
      const middle = Math.max(half, Math.min(width - half, x));
      if (taken.some((other) => Math.abs(other.x - middle) < other.half + half && Math.abs(other.y - y) < other.tall + tall)) continue;
      taken.push({ x: middle, y, half, tall });
      context.lineWidth = 4;
      context.strokeStyle = ground;
      context.strokeText(region.label, middle, y);
      context.fillStyle = ink;
      context.fillText(region.label, middle, y);
    }
  }

  function drawMarks(ground, ink, mark) {
    const ring = (x, y, size, colour, thick) => {
      context.beginPath();
      context.arc(x, y, size, 0, 7);
      context.lineWidth = thick;
      context.strokeStyle = colour;
      context.stroke();
    };
    if (query) {
      const [x, y] = toScreen(query[0], query[1]);
      for (const [colour, thick] of [[ground, 6], [mark, 3]]) {
        ring(x, y, 13, colour, thick);
        context.beginPath();
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
          context.moveTo(x + 13 * dx, y + 13 * dy);
          context.lineTo(x + 21 * dx, y + 21 * dy);
        }
        context.stroke();
      }
    }
    if (hovered >= 0) {
      const [x, y] = toScreen(places[2 * hovered], places[2 * hovered + 1]);
      ring(x, y, 7, ground, 5);
      ring(x, y, 7, ink, 2);
    }
    if (lasso && lasso.length > 1) {
      context.beginPath();
      lasso.forEach(([x, y], at) => (at ? context.lineTo(...toScreen(x, y)) : context.moveTo(...toScreen(x, y))));
      context.closePath();
      context.globalAlpha = 0.12;
      context.fillStyle = mark;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 2;
      context.strokeStyle = mark;
      context.stroke();
    }
  }

  function hover(point) {
    if (point !== hovered) {
      hovered = point;
      tip.replaceChildren();
      tip.hidden = point < 0;
      if (point >= 0) hooks.describe(point, tip);
      redraw();
    }
    if (point < 0) return;
    const [x, y] = toScreen(places[2 * point], places[2 * point + 1]), room = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(width - room.width - 4, x + 14)) + "px";
    tip.style.top = (y + 18 + room.height > height ? Math.max(4, y - room.height - 14) : y + 14) + "px";
  }
  const near = (x, y, reach = 12) => gridNow().nearest(...toPlane(x, y), reach / view.scale);

  function inside(polygon) {
    const found = [];
    const xs = polygon.map((corner) => corner[0]), ys = polygon.map((corner) => corner[1]);
    gridNow().each(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (point) => {
      const x = places[2 * point], y = places[2 * point + 1];
      let odd = false;
      for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at++) {
        const [ax, ay] = polygon[at], [bx, by] = polygon[before];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
      }
      if (odd) found.push(point);
    });
    return found;
  }

  const touches = new Map();
  let moved = false;
  const placeOf = (event) => { const at = over.getBoundingClientRect(); return [event.clientX - at.left, event.clientY - at.top]; };
  over.addEventListener("pointerdown", (event) => {
    over.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, placeOf(event));
    moved = touches.size > 1;
    cancelAnimationFrame(motion);
    if (lassoing && touches.size === 1) lasso = [toPlane(...placeOf(event))];
    over.classList.add("held");
  });
  over.addEventListener("pointermove", (event) => {
    const now = placeOf(event), before = touches.get(event.pointerId);
    if (!before) { if (event.pointerType !== "touch") hover(near(...now)); return; }
    if (Math.hypot(now[0] - before[0], now[1] - before[1]) < 3 && !moved) return;
    moved = true;
    hover(-1);
    if (lassoing && lasso && touches.size === 1) {
      lasso.push(toPlane(...now));
      touches.set(event.pointerId, now);
      redraw();
      return;
    }
    if (touches.size === 2) {
      const [other] = [...touches].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const spread = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      zoom(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2, "now");
    }
    const share = touches.size === 2 ? 0.5 : 1;
    go({ x: view.x - (share * (now[0] - before[0])) / view.scale, y: view.y + (share * (now[1] - before[1])) / view.scale }, "now");
    touches.set(event.pointerId, now);
  });
  const release = (event) => {
    if (!touches.delete(event.pointerId)) return;
    over.classList.remove("held");
    const cancelled = event.type === "pointercancel";
    if (lassoing && lasso) {
      const polygon = lasso;
      if (polygon.length > 2 && !cancelled) hooks.selected?.(inside(polygon)); else lasso = null;
      setLasso(false);
      redraw();
      return;
    }
    if (moved || cancelled) return;
    const point = near(...placeOf(event), event.pointerType === "touch" ? 22 : 12);
    hover(point);
    if (point >= 0) hooks.choose?.(point);
  };
  over.addEventListener("pointerup", release);
  over.addEventListener("pointercancel", release);
  over.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hover(-1); });
  over.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 33 : 1;
    zoom(2 ** (-(event.deltaY * lines) / 240), ...placeOf(event), "now");
  }, { passive: false });
  over.addEventListener("dblclick", (event) => zoom(2, ...placeOf(event)));
  over.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) go({ x: view.x + (90 * step[0]) / view.scale, y: view.y + (90 * step[1]) / view.scale }, "now");
    else if (event.key === "+" || event.key === "=") zoom(1.6, undefined, undefined, "now");
    else if (event.key === "-" || event.key === "_") zoom(1 / 1.6, undefined, undefined, "now");
    else if (event.key === "0" || event.key === "Home") go(fit(), "now");
    else if (event.key === "Enter" && hovered >= 0) hooks.choose?.(hovered);
    else if (event.key === "Escape") { setLasso(false); lasso = null; hover(-1); hooks.selected?.(null); redraw(); }
    else return;
    event.preventDefault();
    if (event.key !== "Escape") hover(near(width / 2, height / 2, Math.min(width, height) / 2));
  });
  over.addEventListener("blur", () => hover(-1));

  function setLasso(on) {
    lassoing = on;
    over.classList.toggle("lassoing", on);
    hooks.lassoing?.(on);
  }

  new ResizeObserver(() => {
    const room = root.getBoundingClientRect();
    if (!room.width || !room.height) return;
    [width, height, ratio] = [room.width, room.height, Math.min(2, devicePixelRatio || 1)];
    for (const canvas of [points, over]) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
    if (fitted) Object.assign(view, fit());
    dirty = true;
    draw();
  }).observe(root);
  dark.addEventListener("change", paint);
  painter.chosen(chosen);
  paint();

  return {
    places, regionOf, view,
    frames: () => frames,
    // What the colours mean: [{colour, name, count, points}].
    legend() {
      const palette = groups(), field = fieldOf();
      if (!field) {
        return regions.map((region, at) => ({ region, at })).filter(({ region }) => region.level === 0).slice(0, 11)
          .map(({ region, at }) => ({ colour: palette[at % 11], name: region.words.join(" · ") || "no words", count: region.rows, region: at }));
      }
      if (!field.values) {
        const stops = dark.matches ? SCALES.dark : SCALES.light, number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2, useGrouping: false });
        return [field.least, (field.least + field.most) / 2, field.most].map((value, at) => ({ colour: stops[at], name: number(value) }));
      }
      const counts = new Uint32Array(256);
      field.unpacked ??= unpack(field.codes, Uint8Array);
      for (const code of field.unpacked) counts[code]++;
      const named = field.values.map((name, code) => ({ name, code, colour: palette[code] }));
      named.push({ name: "others", code: 11, colour: palette[11] }, { name: "without", code: 255, colour: palette[12] });
      return named.map((entry) => ({ ...entry, count: counts[entry.code] })).filter((entry) => entry.count);
    },
    having(code) {
      const found = [], codes = fieldOf().unpacked;
      for (let point = 0; point < count; point++) if (codes[point] === code) found.push(point);
      return found;
    },
    colourBy(name) { colouring = name; paint(); },
    highlight(indices, at) { chosen = Uint32Array.from(indices); query = at ?? null; painter.chosen(chosen); redraw(); },
    fit() { go(fit()); fitted = true; },
    zoom(factor) { zoom(factor); },
    lasso(on) { lasso = null; setLasso(on); redraw(); },
    unselect() { lasso = null; redraw(); },
    showRegion(at) { go({ x: regions[at].x, y: regions[at].y, scale: Math.min(width, height) / (3.2 * Math.max(radius[at], 1e-6)) }); },
    showPoint(point) {
      const scale = Math.max(view.scale, fit().scale * 6);
      go({ x: places[2 * point], y: places[2 * point + 1], scale }, "now");
      hover(point);
    },
    regionName(point) {
      const names = [];
      for (let at = regionOf[point]; at !== null; at = regions[at].parent) names.unshift(regions[at].words[0]);
      return names.filter(Boolean).join(" › ");
    },
    onScheme(heard) { dark.addEventListener("change", heard); },
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
