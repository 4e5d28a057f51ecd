"use strict";
// The points of a map: reading them, and finding those near a place.

const make = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

function unpack(text, Kind) {
  if (Uint8Array.fromBase64) return new Kind(Uint8Array.fromBase64(text).buffer);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new Kind(bytes.buffer);
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
