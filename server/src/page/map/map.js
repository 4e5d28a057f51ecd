// A map of points with names of regions. `createMap` draws into an element; all texts are written as text, never as markup.

// Points that are drawn at first while a map moves. In a software renderer all points of a large map take a tenth of a second.
const FIRST_BUDGET = 20_000;

// `hooks`: describe(point, box) fills the box that is shown beside a point; choose(point) hears a click; selected(points)
// hears a lasso; paintWith "canvas" draws without WebGL.
function createMap(root, data, hooks) {
  const places = unpack(data.places, Float32Array), regionOf = unpack(data.region_of, Uint16Array);
  const box = boxOf(places), { count, regions } = data, radii = radiiOf(regions, regionOf, places);
  const dark = matchMedia("(prefers-color-scheme: dark)"), still = matchMedia("(prefers-reduced-motion: reduce)");
  const points = make("canvas"), over = make("canvas"), hand = make("div", undefined, "map-hand"), tip = make("div", undefined, "map-tip");
  hand.tabIndex = 0;
  hand.setAttribute("role", "application");
  hand.setAttribute("aria-roledescription", "map");
  hand.setAttribute("aria-label", `Map of ${count.toLocaleString("en")} documents. Arrows move, plus and minus zoom, 0 shows all, ` +
    "Enter opens the document in the middle.");
  tip.setAttribute("role", "status");
  tip.hidden = true;
  root.classList.add("map");
  root.append(points, over, hand, tip);
  let grid = null;
  const gridNow = () => (grid ??= gridOf(places, box));
  const painter = (hooks.paintWith !== "canvas" && webglPainter(points, places)) || canvasPainter(points, places, gridNow());
  const context = over.getContext("2d"), plane = new Plane(box, hooks.inset), colouring = colouringOf(data, regionOf, dark);
  let ratio = 1, chosen = new Uint32Array(0), query = null, hovered = -1, lasso = null, isLassoing = false, motion = 0, isFitted = true;
  // How the canvases were drawn last: a map that is only moved since is shifted, and not drawn again.
  let drawn = null, asked = null, frames = 0, last = 0, wasDrawn = false, resting = 0;
  // Points that are drawn while the map moves: fewer where frames come slowly, all when it rests.
  let budget = FIRST_BUDGET;

  function paint() { painter.colours(colouring.values()); redraw(); }

  function go(target, at) {
    const end = { x: plane.x, y: plane.y, ...target, scale: plane.limited(target.scale ?? plane.scale) };
    cancelAnimationFrame(motion);
    isFitted = false;
    if (still.matches || at === "now") { Object.assign(plane, end); redraw("moved"); return; }
    const begin = { x: plane.x, y: plane.y, scale: plane.scale }, started = performance.now();
    const step = (now) => {
      const share = Math.min(1, Math.max(0, (now - started) / 260)), eased = 1 - (1 - share) ** 3;
      plane.scale = begin.scale * (end.scale / begin.scale) ** eased;
      plane.x = begin.x + (end.x - begin.x) * eased;
      plane.y = begin.y + (end.y - begin.y) * eased;
      redraw("moved");
      if (share < 1) motion = requestAnimationFrame(step);
    };
    motion = requestAnimationFrame(step);
  }
  const zoom = (factor, x = plane.width / 2, y = plane.height / 2, at) => go(plane.zoomed(factor, x, y), at);

  // `why`: "moved" where only the view is another one, "rests" when a movement is over, else something else changed.
  function redraw(why = "changed") {
    if (!asked) requestAnimationFrame(frame);
    asked = !asked || asked === "moved" ? why : asked;
  }

  function frame(now) {
    const why = asked, gap = now - last;
    [asked, last] = [null, now];
    frames++;
    // What the frame before has cost is known when the next one comes.
    if (wasDrawn && gap > 30 && gap < 400) budget = Math.max(8000, Math.min(budget, count) * 0.6);
    else if (wasDrawn && gap < 19) budget = Math.min(count, budget * 1.15);
    clearTimeout(resting);
    if (why === "moved") resting = setTimeout(() => redraw("rests"), 160);
    wasDrawn = !(why === "moved" && shift());
    if (wasDrawn) draw(why === "moved" ? budget : count);
    if (frames === 1) performance.mark("map");
  }

  // Shifts what is drawn to where it belongs now; false where that does not reach.
  function shift() {
    if (!drawn || drawn.scale !== plane.scale) return false;
    const right = (drawn.x - plane.x) * plane.scale, down = (plane.y - drawn.y) * plane.scale;
    if (Math.max(Math.abs(right), Math.abs(down)) > plane.margin) return false;
    place(right, down);
    return true;
  }
  function place(right, down) {
    for (const canvas of [points, over]) canvas.style.transform = `translate(${right}px, ${down}px)`;
  }

  function draw(most) {
    const { width, height, margin, scale } = plane, style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const colours = { ground: colour("--ground"), ink: colour("--ink"), mark: colour("--hit") };
    const sparse = Math.max(0, Math.min(1, (5 - Math.log10(Math.max(count, 10))) / 3));
    const size = Math.min(11, (1.6 + 5.4 * sparse) * Math.max(1, (scale / plane.whole().scale) ** 0.32));
    const opacity = (chosen.length || query ? 0.42 : 0.85) * (dark.matches ? 0.9 : 1);
    painter.draw(plane, width + 2 * margin, height + 2 * margin,
      { ratio, size, opacity, most, chosenSize: Math.max(7, size + 2), ground: rgb(colours.ground), mark: rgb(colours.mark) });
    context.setTransform(ratio, 0, 0, ratio, margin * ratio, margin * ratio);
    context.clearRect(-margin, -margin, width + 2 * margin, height + 2 * margin);
    drawLabels(context, plane, regions, radii, colours);
    if (query) drawQuery(context, plane.toScreen(...query), colours);
    if (hovered >= 0) drawHovered(context, plane.toScreen(places[2 * hovered], places[2 * hovered + 1]), colours);
    if (lasso && lasso.length > 1) drawLasso(context, plane, lasso, colours.mark);
    drawn = { x: plane.x, y: plane.y, scale };
    place(0, 0);
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
    const [x, y] = plane.toScreen(places[2 * point], places[2 * point + 1]), room = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(plane.width - room.width - 4, x + 14)) + "px";
    tip.style.top = (y + 18 + room.height > plane.height ? Math.max(4, y - room.height - 14) : y + 14) + "px";
  }

  function setLasso(on) {
    isLassoing = on;
    hand.classList.toggle("lassoing", on);
    hooks.lassoing?.(on);
  }
  hearGestures(hand, plane, {
    go, zoom, hover,
    halt: () => cancelAnimationFrame(motion),
    pan: (right, down) => go({ x: plane.x - right, y: plane.y + down }, "now"),
    near: (x, y, reach = 12) => gridNow().nearest(...plane.toPlane(x, y), reach / plane.scale),
    choose(point = hovered) { if (point >= 0) hooks.choose?.(point); return point >= 0; },
    isLassoing: () => isLassoing,
    lassoed(polygon) { lasso = polygon; redraw(); },
    selected(polygon) {
      lasso = polygon;
      if (polygon) hooks.selected?.(pointsInside(polygon, places, gridNow()));
      setLasso(false);
      redraw();
    },
    leave() { setLasso(false); lasso = null; hover(-1); hooks.selected?.(null); redraw(); },
  });

  new ResizeObserver(() => {
    const room = root.getBoundingClientRect();
    if (!room.width || !room.height) return;
    Object.assign(plane, { width: room.width, height: room.height });
    ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [room.width + 2 * plane.margin, room.height + 2 * plane.margin];
    for (const canvas of [points, over]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      Object.assign(canvas.style, { left: `${-plane.margin}px`, top: `${-plane.margin}px`, width: `${width}px`, height: `${height}px` });
    }
    if (isFitted) Object.assign(plane, plane.whole());
    // At once: a canvas of another size is empty.
    if (!asked) { draw(count); frames++; if (frames === 1) performance.mark("map"); } else { asked = "changed"; draw(count); }
  }).observe(root);
  dark.addEventListener("change", paint);
  painter.chosen(chosen);
  paint();

  return {
    places,
    frames: () => frames,
    legend: () => colouring.legend(),
    having: (code) => colouring.having(code),
    colourBy(name) { colouring.by(name); paint(); },
    highlight(indices, at) { chosen = Uint32Array.from(indices); query = at ?? null; painter.chosen(chosen); redraw(); },
    fit() { go(plane.whole()); isFitted = true; },
    zoom: (factor) => zoom(factor),
    lasso(on) { lasso = null; setLasso(on); redraw(); },
    unselect() { lasso = null; redraw(); },
    showRegion(at) {
      const scale = Math.min(plane.width, plane.height) / (3.2 * Math.max(radii[at], 1e-6));
      go({ x: regions[at].x, y: regions[at].y, scale });
    },
    showPoint(point) {
      go({ x: places[2 * point], y: places[2 * point + 1], scale: Math.max(plane.scale, plane.whole().scale * 6) }, "now");
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
