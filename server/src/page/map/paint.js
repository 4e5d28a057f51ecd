// Painters of points: with WebGL, or on a plain canvas.

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
