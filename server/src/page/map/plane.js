// The part of the plane that is seen: where its middle is, and how many pixels a unit has.

// Points are drawn so far beyond the edges that a map can be moved a while without being drawn again.
const MARGIN = 160;

class Plane {
  // `inset` tells how far a panel reaches over the left side of a wide map: it covers points that are there.
  constructor(box, inset) {
    Object.assign(this, { box, inset, x: 0, y: 0, scale: 1, width: 1, height: 1 });
  }
  get margin() { return Math.round(Math.min(MARGIN, this.width / 5, this.height / 5)); }
  // The view that shows everything.
  whole() {
    const { box, width, height } = this, left = width > 700 && this.inset ? this.inset() : 0;
    const wide = Math.max(box.right - box.left, 1e-6), tall = Math.max(box.top - box.bottom, 1e-6);
    const scale = 0.9 * Math.min((width - left) / wide, height / tall);
    return { x: (box.left + box.right) / 2 - left / 2 / scale, y: (box.bottom + box.top) / 2, scale };
  }
  limited(scale) {
    const whole = this.whole().scale;
    return Math.max(whole / 2, Math.min(whole * 400, scale));
  }
  toScreen(x, y) { return [(x - this.x) * this.scale + this.width / 2, (this.y - y) * this.scale + this.height / 2]; }
  toPlane(x, y) { return [(x - this.width / 2) / this.scale + this.x, this.y - (y - this.height / 2) / this.scale]; }
  // The view after zooming about a place of the screen.
  zoomed(factor, x, y) {
    const [px, py] = this.toPlane(x, y), scale = this.limited(this.scale * factor);
    return { scale, x: px - (x - this.width / 2) / scale, y: py + (y - this.height / 2) / scale };
  }
}
