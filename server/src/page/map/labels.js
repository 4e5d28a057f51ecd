// What is drawn over the points: names of regions, and marks.

const FONTS = [["700", 15], ["600", 13], ["500", 12]];

// How far the points of each region lie from its middle, as a root of the mean square.
function radiiOf(regions, regionOf, places) {
  const radii = new Float64Array(regions.length);
  for (let point = 0; point < regionOf.length; point++) {
    for (let at = regionOf[point]; at !== null; at = regions[at].parent) {
      radii[at] += (places[2 * point] - regions[at].x) ** 2 + (places[2 * point + 1] - regions[at].y) ** 2;
    }
  }
  return radii.map((sum, at) => Math.sqrt(sum / Math.max(regions[at].rows, 1)));
}

// Coarse regions first, finer ones where their regions have become wide enough, no name over another.
function drawLabels(context, plane, regions, radii, { ground, ink }) {
  const { width, height, margin } = plane, taken = [];
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (let at = 0; at < regions.length && taken.length < 70; at++) {
    const region = regions[at], wide = radii[at] * plane.scale;
    if (!region.words.length || (region.level > 0 && wide < 30) || wide > Math.max(width, height)) continue;
    const [x, y] = plane.toScreen(region.x, region.y);
    if (x < -margin || y < -margin || x > width + margin || y > height + margin) continue;
    const [weight, size] = FONTS[Math.min(region.level, 2)];
    context.font = `${weight} ${size}px system-ui, sans-serif`;
    region.label ??= region.words.slice(0, region.level === 0 ? 2 : 3).join(" · ");
    region.wide ??= context.measureText(region.label).width;
    const half = region.wide / 2 + 6, tall = size / 2 + 5;
    const middle = x < 0 || x > width ? x : Math.max(half, Math.min(width - half, x));
    if (taken.some((other) => Math.abs(other.x - middle) < other.half + half && Math.abs(other.y - y) < other.tall + tall)) continue;
    taken.push({ x: middle, y, half, tall });
    context.lineWidth = 4;
    context.strokeStyle = ground;
    context.strokeText(region.label, middle, y);
    context.fillStyle = ink;
    context.fillText(region.label, middle, y);
  }
}

function drawRing(context, x, y, size, colour, thick) {
  context.beginPath();
  context.arc(x, y, size, 0, 7);
  context.lineWidth = thick;
  context.strokeStyle = colour;
  context.stroke();
}

// The place of the question.
function drawQuery(context, [x, y], { ground, mark }) {
  for (const [colour, thick] of [[ground, 6], [mark, 3]]) {
    drawRing(context, x, y, 13, colour, thick);
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 13 * dx, y + 13 * dy);
      context.lineTo(x + 21 * dx, y + 21 * dy);
    }
    context.stroke();
  }
}

// The point under the pointer.
function drawHovered(context, [x, y], { ground, ink }) {
  drawRing(context, x, y, 7, ground, 5);
  drawRing(context, x, y, 7, ink, 2);
}
