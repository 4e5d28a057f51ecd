// A lasso: a polygon in the plane of the map, and the points in it.

function drawLasso(context, plane, polygon, mark) {
  context.beginPath();
  polygon.forEach(([x, y], at) => (at ? context.lineTo(...plane.toScreen(x, y)) : context.moveTo(...plane.toScreen(x, y))));
  context.closePath();
  context.globalAlpha = 0.12;
  context.fillStyle = mark;
  context.fill();
  context.globalAlpha = 1;
  context.lineWidth = 2;
  context.strokeStyle = mark;
  context.stroke();
}

function pointsInside(polygon, places, grid) {
  const found = [];
  const xs = polygon.map((corner) => corner[0]), ys = polygon.map((corner) => corner[1]);
  grid.each(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (point) => {
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
