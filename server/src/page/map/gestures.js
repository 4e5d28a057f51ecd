// Fingers, pointers, wheels and keys. `act` moves, zooms, hovers, chooses and draws the lasso.

function hearGestures(hand, plane, act) {
  const touches = new Map();
  let moved = false, lasso = null;
  const placeOf = (event) => { const at = hand.getBoundingClientRect(); return [event.clientX - at.left, event.clientY - at.top]; };
  hand.addEventListener("pointerdown", (event) => {
    hand.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, placeOf(event));
    moved = touches.size > 1;
    act.halt();
    if (act.isLassoing() && touches.size === 1) { lasso = [plane.toPlane(...placeOf(event))]; act.lassoed(lasso); }
    hand.classList.add("held");
  });
  hand.addEventListener("pointermove", (event) => {
    const now = placeOf(event), before = touches.get(event.pointerId);
    if (!before) { if (event.pointerType !== "touch") act.hover(act.near(...now)); return; }
    if (Math.hypot(now[0] - before[0], now[1] - before[1]) < 3 && !moved) return;
    moved = true;
    act.hover(-1);
    touches.set(event.pointerId, now);
    if (lasso && touches.size === 1) { lasso.push(plane.toPlane(...now)); act.lassoed(lasso); return; }
    if (touches.size === 2) {
      const [other] = [...touches].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const spread = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      act.zoom(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2, "now");
    }
    const share = touches.size === 2 ? 0.5 : 1;
    act.pan((share * (now[0] - before[0])) / plane.scale, (share * (now[1] - before[1])) / plane.scale);
  });
  const release = (event) => {
    if (!touches.delete(event.pointerId)) return;
    hand.classList.remove("held");
    const cancelled = event.type === "pointercancel";
    if (lasso) {
      act.selected(lasso.length > 2 && !cancelled ? lasso : null);
      lasso = null;
      return;
    }
    if (moved || cancelled) return;
    const point = act.near(...placeOf(event), event.pointerType === "touch" ? 22 : 12);
    act.hover(point);
    if (point >= 0) act.choose(point);
  };
  hand.addEventListener("pointerup", release);
  hand.addEventListener("pointercancel", release);
  hand.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") act.hover(-1); });
  hand.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 33 : 1;
    act.zoom(2 ** (-(event.deltaY * lines) / 240), ...placeOf(event), "now");
  }, { passive: false });
  hand.addEventListener("dblclick", (event) => act.zoom(2, ...placeOf(event)));
  hand.addEventListener("blur", () => act.hover(-1));
  hand.addEventListener("keydown", (event) => {
    const middle = [plane.width / 2, plane.height / 2], { key } = event;
    const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) act.pan((90 * step[0]) / plane.scale, (90 * step[1]) / plane.scale);
    else if (key === "+" || key === "=") act.zoom(1.6, ...middle, "now");
    else if (key === "-" || key === "_") act.zoom(1 / 1.6, ...middle, "now");
    else if (key === "0" || key === "Home") act.go(plane.whole(), "now");
    else if (key === "Enter") { if (!act.choose()) return; }
    else if (key === "Escape") act.leave();
    else return;
    event.preventDefault();
    if (key !== "Escape") act.hover(act.near(...middle, Math.min(...middle)));
  });
}
