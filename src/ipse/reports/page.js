"use strict";
const root = document.documentElement;
const fail = error => { root.dataset.error = [root.dataset.error, error].filter(Boolean).join(" | "); };
addEventListener("error", event => fail(event.message));
addEventListener("unhandledrejection", event => fail(event.reason));
document.addEventListener("securitypolicyviolation", event => fail(`${event.violatedDirective} ${event.blockedURI}`));

const find = id => document.getElementById(id);
const data = JSON.parse(find("report-data").textContent);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function build(make) {
  return (tag, attributes = {}, ...children) => {
    const node = make(tag);
    for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
}
const html = build(tag => document.createElement(tag));
const svg = build(tag => document.createElementNS("http://www.w3.org/2000/svg", tag));

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const power = exponent => "10" + [...String(exponent)].map(c => RAISED[c]).join("");

function format(value, digits = 4) {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size && (size >= 1e6 || size < 1e-3)) {
    const [mantissa, exponent] = value.toExponential(digits - 2).split("e");
    return `${Number(mantissa)} × ${power(Number(exponent))}`.replace(/^-/, "−").replace(/^1 × /, "");
  }
  return value.toLocaleString("en", { maximumSignificantDigits: digits }).replace("-", "−");
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough)), over = rough / unit;
  const step = unit * (over >= 7.07 ? 10 : over >= 3.16 ? 5 : over >= 1.41 ? 2 : 1);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function decades(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const stride = Math.max(1, Math.ceil((last - first + 1) / count));
  return Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, i) => 10 ** (first + i * stride));
}

function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle; else high = middle;
  }
  return Math.abs(sorted[low] - value) <= Math.abs(sorted[high] - value) ? low : high;
}

// One line chart. `at(x)` says in words where x is; `moved` tells linked charts where the cross-hair went.
function chart(host, { title, x, y, smooth, log, missing, events = [], rule, axis = "step", height = 150, area = false, at }, moved = () => {}) {
  const value = html("span", { class: "value" });
  const name = html("span", { class: "name" }, title);
  const remark = [log && "log scale", missing && `${missing} not finite`].filter(Boolean).join(", ");
  if (remark) name.append(html("span", { class: "scale" }, remark));
  const place = html("div", { class: "place" });
  const picture = svg("svg", { tabindex: 0, role: "img" });
  host.append(html("figcaption", {}, name, value), picture, place);

  const known = y.map((v, i) => (v == null || (log && v <= 0) ? -1 : i)).filter(i => i >= 0);
  const last = known.at(-1);
  const values = known.map(i => y[i]);
  let low = Math.min(...values), high = Math.max(...values);
  picture.setAttribute("aria-label", known.length
    ? `${title}: ${format(y[last])} at ${at(x[last])}; lowest ${format(low)}, highest ${format(high)}` : `${title}: no finite value`);
  if (!known.length) {
    value.textContent = "no finite value";
    return () => {};
  }
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) / 10 || 1), high + (Math.abs(high) / 10 || 1)];
  const bend = log ? Math.log10 : v => v;
  const pad = (bend(high) - bend(low)) * 0.04;
  const bottom = bend(low) - pad, top = bend(high) + pad;
  const knownX = known.map(i => x[i]);
  const [left, right] = x.length > 1 ? [x[0], x.at(-1)] : [x[0] - 1, x[0] + 1];
  const margin = { top: events.length ? 16 : 6, right: 8, bottom: 20, left: 44 };
  let width = 0, px, py, cross, dot, current = null;

  function draw() {
    width = Math.max(200, host.clientWidth);
    px = v => margin.left + (v - left) / (right - left) * (width - margin.left - margin.right);
    py = v => margin.top + (top - bend(v)) / (top - bottom) * (height - margin.top - margin.bottom);
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.replaceChildren();
    const levels = log && Math.log10(high / low) >= 1 ? decades(10 ** bottom, 10 ** top, 5)
      : ticks(log ? 10 ** bottom : bottom, log ? 10 ** top : top, height > 200 ? 5 : 3);
    for (const level of levels) {
      if (log && level <= 0) continue;
      picture.append(svg("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: py(level), y2: py(level) }));
      const text = log && (level >= 1e4 || level < 1e-2) ? power(Math.round(Math.log10(level))) : format(level, 3);
      picture.append(svg("text", { x: margin.left - 6, y: py(level) + 4, "text-anchor": "end" }, text));
    }
    for (const level of ticks(left, right, Math.floor(width / 90))) {
      if (Number.isInteger(level) && px(level) < width - 30 - 6 * axis.length) picture.append(svg("text", { x: px(level), y: height - 4, "text-anchor": "middle" }, compact(level)));
    }
    picture.append(svg("text", { x: width - margin.right, y: height - 4, "text-anchor": "end" }, axis));
    if (area) picture.append(svg("path", { class: "area", d: `${path(y)}L${px(x[last])},${height - margin.bottom}L${px(knownX[0])},${height - margin.bottom}Z` }));
    if (known.length === 1) picture.append(svg("circle", { class: "dot", cx: px(x[last]), cy: py(y[last]), r: 3 }));
    if (smooth) picture.append(svg("path", { class: "raw", d: path(y) }));
    picture.append(svg("path", { class: "line", d: path(smooth || y) }));
    let taken = -Infinity;
    for (const event of events) {
      const there = px(event.step);
      const mark = svg("g", {}, svg("title", {}, event.text), svg("line", { class: "event", x1: there, x2: there, y1: margin.top, y2: height - margin.bottom }));
      if (there - taken > 22) {
        mark.append(svg("text", { class: "event-name", x: there, y: 11 }, String(event.number)));
        taken = there;
      }
      picture.append(mark);
    }
    if (rule) {
      const there = px(rule.x), end = there > width * 0.62;
      picture.append(svg("line", { class: "rule", x1: there, x2: there, y1: margin.top, y2: height - margin.bottom }),
        svg("text", { class: "rule-name", x: there + (end ? -8 : 8), y: margin.top + 13, "text-anchor": end ? "end" : "start" }, rule.text));
    }
    cross = svg("line", { class: "cross", y1: margin.top, y2: height - margin.bottom, visibility: "hidden" });
    dot = svg("circle", { class: "dot", r: 3.5, visibility: "hidden" });
    picture.append(cross, dot);
    show(current);
  }

  function path(series) {
    let pen = "M", d = "";
    series.forEach((v, i) => {
      if (v == null || (log && v <= 0)) { pen = "M"; return; }
      d += `${pen}${px(x[i]).toFixed(1)},${py(v).toFixed(1)}`;
      pen = "L";
    });
    return d;
  }

  function show(where) {
    current = where;
    const i = where == null ? last : known[nearest(knownX, where)];
    const event = where == null ? null : events.find(event => Math.abs(px(event.step) - px(where)) < 8);
    value.textContent = format(y[i]);
    place.textContent = where == null ? "" : at(x[i]) + (event ? ` · ${event.number} ${event.text}` : "");
    for (const node of [cross, dot]) node.setAttribute("visibility", where == null ? "hidden" : "visible");
    cross.setAttribute("x1", px(x[i]));
    cross.setAttribute("x2", px(x[i]));
    dot.setAttribute("cx", px(x[i]));
    dot.setAttribute("cy", py(y[i]));
  }

  const move = where => { show(where); moved(where, show); };
  picture.addEventListener("pointermove", event => {
    const box = picture.getBoundingClientRect();
    const share = (event.clientX - box.left) * width / box.width;
    move(clamp(left + (share - margin.left) / (width - margin.left - margin.right) * (right - left), left, right));
  });
  picture.addEventListener("pointerleave", () => move(null));
  picture.addEventListener("blur", () => move(null));
  picture.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") move(null);
    if (!step) return;
    event.preventDefault();
    const now = current == null ? (step < 0 ? known.length : -1) : nearest(knownX, current);
    move(knownX[clamp(now + step, 0, known.length - 1)]);
    find("live").textContent = `${title}: ${value.textContent}, ${place.textContent}`;
  });
  new ResizeObserver(() => requestAnimationFrame(() => { if (host.clientWidth && Math.max(200, host.clientWidth) !== width) draw(); })).observe(host);
  draw();
  return show;
}

const compact = value => value.toLocaleString("en", { notation: Math.abs(value) >= 1e4 ? "compact" : "standard", maximumSignificantDigits: 4 });

function drawCurves() {
  const host = find("charts");
  if (!host) return;
  const steps = data.clock.map(row => row[0]);
  const at = step => {
    const row = steps.length ? data.clock[nearest(steps, step)] : null;
    return `${data.axis} ${step.toLocaleString("en")}${row && row[1] != null ? `, epoch ${format(row[1], 3)}` : ""}`;
  };
  const events = data.events.map((event, i) => ({ ...event, number: i + 1 })).filter(event => event.step != null);
  const shown = [];
  const moved = (where, from) => { for (const show of shown) if (show !== from) show(where); };
  for (const series of data.curves) {
    const figure = html("figure", { class: "chart" });
    host.append(figure);
    const inside = events.filter(event => event.step >= series.x[0] && event.step <= series.x.at(-1));
    shown.push(chart(figure, { ...series, events: inside, at, axis: data.axis }, moved));
  }
}

function drawSpectrum() {
  const host = find("eigenvalues");
  if (!host) return;
  const { share, dimension, size } = data.spectrum;
  const floor = share[0] * 1e-10;
  const y = share.map(v => (v > floor ? v : null));
  const figure = html("figure", { class: "chart" });
  host.append(figure);
  chart(figure, {
    title: "Share of the variance", x: share.map((_, i) => i + 1), y, log: true, area: true, height: 280, axis: "direction",
    at: i => `direction ${i} of ${size}`, rule: { x: dimension, text: `effective dimension ${format(dimension, 3)}` },
  });
}

let sheet = null, largeSheet = null;
function tile(from, { width, height, columns }, i, attributes) {
  const canvas = html("canvas", { width, height, class: width < 48 ? "crisp" : "", ...attributes });
  canvas.getContext("2d").drawImage(from, (i % columns) * width, Math.floor(i / columns) * height, width, height, 0, 0, width, height);
  return canvas;
}
const thumbnail = (i, attributes = {}) => tile(sheet, data.sprite, i, attributes);

// Lines of one sample on the scale from `low` to `high`, as large as its place.
function plot(lines, [low, high], attributes) {
  const picture = svg("svg", { class: "plot", viewBox: "0 0 160 84", ...attributes });
  const steps = Math.max(2, ...lines.map(line => line.length));
  const px = k => 3 + k / (steps - 1) * 154, py = v => 3 + (high - v) / (high - low || 1) * 78;
  if (low < 0 && high > 0) picture.append(svg("line", { class: "grid", x1: 0, x2: 160, y1: py(0), y2: py(0) }));
  lines.forEach((line, channel) => {
    let d = "";
    line.forEach((v, k) => {
      if (v == null) return;
      const alone = line[k - 1] == null;
      d += `${alone ? "M" : "L"}${px(k).toFixed(1)},${py(v).toFixed(1)}${alone && line[k + 1] == null ? "h0.01" : ""}`;
    });
    if (d) picture.append(svg("path", { class: `series s${channel}`, d }));
  });
  return picture;
}

function extent(samples) {
  const values = samples.flatMap(i => (data.lines[i] ?? []).flat()).filter(v => v != null);
  return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : [0, 1];
}

// All sounds share one player, so that one stops when another starts.
const player = new Audio();
const players = [];
let playing = null;
function showPlaying() {
  for (const { button, i } of players) button.setAttribute("aria-pressed", String(i === playing));
}
function play(i) {
  const again = playing === i;
  player.pause();
  playing = again ? null : i;
  if (!again) {
    player.src = data.sounds[i];
    player.play().catch(error => {
      if (error.name === "AbortError" || playing !== i) return;
      playing = null;
      find("live").textContent = `This browser could not play ${data.names[i]}`;
      showPlaying();
    });
  }
  showPlaying();
}
player.addEventListener("ended", () => { playing = null; showPlaying(); });
function playButton(i) {
  const button = html("button", { type: "button", class: "play", "aria-pressed": "false", "aria-label": `Play ${data.names[i]}` },
    svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { class: "go", d: "M3,1.5L10.5,6L3,10.5Z" }), svg("path", { class: "halt", d: "M2.5,2.5h7v7h-7Z" })));
  button.addEventListener("click", () => play(i));
  players.push({ button, i });
  return button;
}

// Marks differ in shape as well as in color: entry i of the legend has color i mod 10 and shape i mod 3.
const SHAPES = [
  (c, x, y, r) => c.arc(x, y, r, 0, 7),
  (c, x, y, r) => c.rect(x - r * 0.88, y - r * 0.88, r * 1.76, r * 1.76),
  (c, x, y, r) => { c.moveTo(x, y - r * 1.25); c.lineTo(x + r * 1.15, y + r * 0.8); c.lineTo(x - r * 1.15, y + r * 0.8); c.closePath(); },
];
const plain = data.groups.length === 1 && data.groups[0].kind === "none";
const shape = g => (data.groups[g].kind === "class" ? g % 3 : 0);
const hue = g => (plain ? "--accent" : data.groups[g].kind === "class" ? `--c${g % 10}` : "--soft");
const hollow = g => !plain && data.groups[g].kind === "none";

function swatch(g) {
  const canvas = html("canvas", { class: "swatch", width: 28, height: 28, "aria-hidden": "true" });
  const paint = color => {
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, 28, 28);
    mark(c, g, 14, 14, 9, color, 3);
  };
  return { canvas, paint };
}

function mark(c, g, x, y, radius, color, line = 1.2) {
  c.beginPath();
  SHAPES[shape(g)](c, x, y, radius);
  if (hollow(g)) {
    c.strokeStyle = color;
    c.lineWidth = line;
    c.stroke();
  } else {
    c.fillStyle = color;
    c.fill();
  }
}

function drawMap() {
  const canvas = find("scatter");
  if (!canvas) return;
  const c = canvas.getContext("2d");
  const stage = find("stage"), card = find("card");
  const members = data.groups.map(() => []);
  data.points.forEach((point, i) => { if (point) members[data.group[i]].push(i); });
  const placed = members.flat();
  const size = [0, 1].map(axis => Math.max(1, ...placed.map(i => data.points[i][axis])));
  const centers = members.map(list => middle(list));
  let width = 0, height = 0, fit = 1, zoom = 1, panX = 0, panY = 0;
  let pinned = null, hinted = null, active = null, portraits = false, printing = false, waiting = false;
  const swatches = [], cells = new Map();

  const screen = i => [
    (data.points[i][0] - size[0] / 2) * fit * zoom + width / 2 + panX,
    (size[1] / 2 - data.points[i][1]) * fit * zoom + height / 2 + panY,
  ];
  const focus = () => hinted ?? pinned;
  const visible = i => focus() == null || data.group[i] === focus();

  // The member nearest to the medians: a place inside the cluster, which the mean of a bent one need not be.
  function middle(list) {
    if (!list.length) return null;
    const median = axis => list.map(i => data.points[i][axis]).sort((a, b) => a - b)[list.length >> 1];
    const [x, y] = [median(0), median(1)];
    return list.reduce((best, i) => (far(i, x, y) < far(best, x, y) ? i : best));
  }
  function far(i, x, y) { return Math.hypot(data.points[i][0] - x, data.points[i][1] - y); }

  function colors() {
    const style = getComputedStyle(printing ? document.querySelector(".paper") : root);
    return { group: data.groups.map((_, g) => style.getPropertyValue(hue(g))), ink: style.getPropertyValue("--ink"), surface: style.getPropertyValue("--surface") };
  }

  function draw() {
    waiting = false;
    const ratio = Math.max(1, Math.min(devicePixelRatio || 1, 3));
    width = stage.clientWidth;
    height = stage.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    fit = Math.min((width - 56) / size[0], (height - 56) / size[1]);
    canvas.classList.toggle("zoomed", zoom > 1);
    const color = colors();
    if (portraits && sheet) {
      drawPortraits(color);
    } else {
      drawMarks(color);
      drawNames(color);
    }
    if (active != null) ring(...screen(active), color.ink);
    for (const { paint, g } of swatches) paint(color.group[g]);
    showCard();
  }

  function ring(x, y, color) {
    c.strokeStyle = color;
    c.lineWidth = 2;
    c.beginPath();
    if (portraits && cells.get(cell(x, y)) === active) c.rect(Math.floor(x / side()) * side(), Math.floor(y / side()) * side(), side(), side());
    else c.arc(x, y, 8, 0, 7);
    c.stroke();
  }

  function drawMarks(color) {
    const radius = clamp(Math.sqrt(width * height / Math.max(placed.length, 1)) / 7, 2.4, 5) * Math.min(1.7, zoom ** 0.25);
    const order = members.map((_, g) => g).sort((a, b) => (a === focus()) - (b === focus()));
    for (const g of order) {
      c.globalAlpha = focus() == null ? 0.85 : g === focus() ? 1 : 0.1;
      for (const i of members[g]) {
        const [x, y] = screen(i);
        if (x > -9 && y > -9 && x < width + 9 && y < height + 9) mark(c, g, x, y, radius, color.group[g]);
      }
    }
    c.globalAlpha = 1;
  }

  // Portraits stand on a grid of cells, one sample to a cell, so that none covers another; zooming in makes room for the others.
  const side = () => Math.round(clamp(Math.sqrt(width * height / Math.max(placed.length, 1)) * 1.6, 20, 48));
  const cell = (x, y) => `${Math.floor(x / side())},${Math.floor(y / side())}`;

  function drawPortraits(color) {
    const { columns, width: w, height: h } = data.sprite;
    const s = side();
    cells.clear();
    c.imageSmoothingEnabled = w > s;
    for (const i of placed) {
      const [x, y] = screen(i);
      if (!visible(i) || cells.has(cell(x, y)) || x < -s || y < -s || x > width + s || y > height + s) continue;
      cells.set(cell(x, y), i);
      const scale = (s - 4) / Math.max(w, h), wide = w * scale, high = h * scale;
      const left = Math.floor(x / s) * s + (s - wide) / 2, top = Math.floor(y / s) * s + (s - high) / 2;
      c.fillStyle = color.group[data.group[i]];
      if (!plain) c.fillRect(left - 1.5, top - 1.5, wide + 3, high + 3);
      c.drawImage(sheet, (i % columns) * w, Math.floor(i / columns) * h, w, h, left, top, wide, high);
    }
  }

  function drawNames(color) {
    c.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.lineJoin = "round";
    const boxes = [];
    const largest = members.map((_, g) => g).sort((a, b) => members[b].length - members[a].length);
    for (const g of largest) {
      if (data.groups[g].kind !== "class" || centers[g] == null || (focus() != null && g !== focus())) continue;
      const letters = [...data.groups[g].name];
      const text = letters.length > 20 ? letters.slice(0, 19).join("") + "…" : letters.join("");
      const half = c.measureText(text).width / 2 + 4;
      let [x, y] = screen(centers[g]);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      x = clamp(x, half, width - half);
      if (boxes.some(b => Math.abs(b.x - x) < b.half + half && Math.abs(b.y - y) < 18)) continue;
      boxes.push({ x, y, half });
      c.strokeStyle = color.surface;
      c.lineWidth = 4;
      c.strokeText(text, x, y);
      c.fillStyle = color.ink;
      c.fillText(text, x, y);
    }
  }

  function showCard() {
    card.hidden = active == null;
    if (active == null) return;
    const label = data.labels[active];
    const lines = [html("bdi", { class: "clip" }, data.names[active])];
    if (label) {
      const { canvas: sign, paint } = swatch(data.group[active]);
      paint(colors().group[data.group[active]]);
      lines.push(html("div", { class: "of" }, sign, html("bdi", { class: "clip" }, label)));
    }
    if (sheet) lines.unshift(thumbnail(active, { "aria-hidden": "true" }));
    if (data.cells.length) lines.push(html("dl", {}, ...data.columns.flatMap((name, k) => [html("dt", {}, html("bdi", {}, name)), html("dd", {}, html("bdi", {}, data.cells[active][k]))])));
    if (data.sounds[active]) lines.push(html("div", { class: "of" }, playing === active ? "◼ playing" : "▶ click to hear"));
    card.replaceChildren(...lines);
    const [x, y] = screen(active);
    const left = x + 16 + card.offsetWidth < width ? x + 16 : x - 16 - card.offsetWidth;
    card.style.left = `${clamp(left, 4, Math.max(4, width - card.offsetWidth - 4))}px`;
    card.style.top = `${clamp(y - card.offsetHeight / 2, 4, Math.max(4, height - card.offsetHeight - 4))}px`;
  }

  const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };

  function pick(x, y, reach) {
    if (portraits && cells.has(cell(x, y))) return cells.get(cell(x, y));
    let best = null;
    for (const i of placed) {
      if (!visible(i)) continue;
      const [sx, sy] = screen(i), distance = Math.hypot(sx - x, sy - y);
      if (distance < reach) [best, reach] = [i, distance];
    }
    return best;
  }

  function zoomAt(factor, x = width / 2, y = height / 2) {
    const next = clamp(zoom * factor, 1, 60);
    panX = (panX + width / 2 - x) * next / zoom + x - width / 2;
    panY = (panY + height / 2 - y) * next / zoom + y - height / 2;
    zoom = next;
    if (zoom === 1) panX = panY = 0;
    redraw();
  }

  function pan(dx, dy) {
    if (zoom === 1) return;
    panX = clamp(panX + dx, -width * zoom / 2, width * zoom / 2);
    panY = clamp(panY + dy, -height * zoom / 2, height * zoom / 2);
    redraw();
  }

  function step(dx, dy) {
    if (active == null) return choose(pick(width / 2, height / 2, Infinity));
    const [x, y] = screen(active);
    let best = null, least = Infinity;
    for (const i of placed) {
      if (!visible(i) || i === active) continue;
      const [sx, sy] = screen(i), along = (sx - x) * dx + (sy - y) * dy, across = Math.abs((sx - x) * dy) + Math.abs((sy - y) * dx);
      if (along > 0 && along >= across && along + 2 * across < least) [best, least] = [i, along + 2 * across];
    }
    if (best != null) choose(best);
  }

  function choose(i) {
    active = i;
    if (i == null) return redraw();
    const [x, y] = screen(i);
    if (x < 20 || x > width - 20) panX += width / 2 - x;
    if (y < 20 || y > height - 20) panY += height / 2 - y;
    const cells = data.cells.length ? data.columns.map((name, k) => `${name} ${data.cells[i][k]}`) : [];
    find("live").textContent = [data.names[i], data.labels[i], ...cells, data.sounds[i] && "Enter plays it"].filter(Boolean).join(", ");
    redraw();
  }

  function hear(i) {
    if (i == null || !data.sounds[i]) return;
    play(i);
    redraw();
  }
  player.addEventListener("ended", redraw);

  const pointers = new Map();
  let moved = false;
  const local = event => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const hover = event => { active = pick(...local(event), 24); redraw(); };
  canvas.addEventListener("pointerdown", event => { moved = false; pointers.set(event.pointerId, local(event)); canvas.setPointerCapture(event.pointerId); hover(event); });
  canvas.addEventListener("pointermove", event => {
    const before = pointers.get(event.pointerId), now = local(event);
    if (!before) return hover(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const spread = p => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      zoomAt(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      pan(now[0] - before[0], now[1] - before[1]);
    }
    moved ||= zoom > 1 && Math.hypot(now[0] - before[0], now[1] - before[1]) > 2;
    pointers.set(event.pointerId, now);
  });
  canvas.addEventListener("click", event => { const i = moved ? null : pick(...local(event), 24); if (i != null) hear(i); });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, event => pointers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { active = null; redraw(); });
  canvas.addEventListener("blur", () => { active = null; redraw(); });
  canvas.addEventListener("wheel", event => {
    // A page that is being scrolled down goes on scrolling over a map that is not zoomed in.
    if (zoom === 1 && event.deltaY > 0) return;
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...local(event));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const act = {
      ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
      "+": () => zoomAt(1.4), "=": () => zoomAt(1.4), "-": () => zoomAt(1 / 1.4), 0: () => zoomAt(0), Escape: () => choose(null),
      Enter: () => hear(active), " ": () => hear(active),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  find("zoom-in").addEventListener("click", () => zoomAt(1.4));
  find("zoom-out").addEventListener("click", () => zoomAt(1 / 1.4));
  find("zoom-reset").addEventListener("click", () => zoomAt(0));
  for (const [id, state] of [["as-marks", false], ["as-portraits", true]]) {
    find(id)?.addEventListener("click", () => {
      portraits = state;
      find("as-marks").setAttribute("aria-pressed", String(!state));
      find("as-portraits").setAttribute("aria-pressed", String(state));
      redraw();
    });
  }

  const legend = find("legend");
  if (!plain) data.groups.forEach((group, g) => {
    const sign = swatch(g);
    swatches.push({ paint: sign.paint, g });
    const button = html("button", { type: "button", "aria-pressed": "false", title: group.name }, sign.canvas, html("bdi", {}, group.name),
      html("span", { class: "count" }, group.count.toLocaleString("en")));
    const hint = value => () => { hinted = value; redraw(); };
    button.addEventListener("pointerenter", hint(g));
    button.addEventListener("pointerleave", hint(null));
    button.addEventListener("click", () => {
      pinned = pinned === g ? null : g;
      hinted = null;
      [...legend.children].forEach((child, k) => child.setAttribute("aria-pressed", String(k === pinned)));
      redraw();
    });
    legend.append(button);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => { printing = true; draw(); });
  addEventListener("afterprint", () => { printing = false; draw(); });
  new ResizeObserver(redraw).observe(stage);
  draw();
  const pixels = c.getImageData(0, 0, canvas.width, canvas.height).data;
  let drawn = 0;
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i]) drawn++;
  canvas.dataset.drawn = drawn;
}

function drawNeighbours() {
  const host = find("rows");
  if (!host) return;
  let pairs = 0, agree = 0;
  const large = data.closeups != null || Object.keys(data.lines).length > 0;
  host.classList.toggle("large", large);
  const named = i => ({ role: "img", "aria-label": data.names[i] });
  const portrait = (i, range) => {
    if (data.lines[i]) return plot(data.lines[i], range, named(i));
    if (largeSheet && data.closeups.place[i] != null) return tile(largeSheet, data.closeups, data.closeups.place[i], named(i));
    return sheet ? thumbnail(i, named(i)) : html("bdi", { class: "blank" }, data.names[i]);
  };
  const heard = (i, range) => (data.sounds[i] ? html("div", { class: "sound" }, portrait(i, range), playButton(i)) : portrait(i, range));
  for (const { query, index, similarity } of data.neighbours) {
    const label = data.labels[query], range = extent([query, ...index]);
    const words = html("figcaption", {}, html("bdi", { class: "clip" }, data.names[query]), html("bdi", { class: "label" }, label));
    const asked = html("figure", { class: "query" }, heard(query, range), words);
    const near = index.map((i, k) => {
      const score = similarity[k] == null ? "–" : similarity[k].toFixed(2).replace("-", "−");
      const caption = html("figcaption", {});
      const comparable = label && data.labels[i];
      const same = label === data.labels[i];
      if (comparable) {
        pairs++;
        agree += same;
        caption.append(html("span", { class: "mark", "aria-hidden": "true" }, same ? "✓ " : "✗ "));
      }
      caption.append(score);
      if (comparable) caption.append(html("span", { class: "unseen" }, same ? ", same label" : ", other label"));
      if (data.labels[i]) caption.append(html("bdi", { class: "label" }, data.labels[i]));
      return html("figure", { class: comparable ? (same ? "same" : "other") : null, title: data.names[i] }, html("div", { class: "frame" }, heard(i, range)), caption);
    });
    host.append(data.cells.length ? comparison(asked, near, query, index) : html("div", { class: "row" }, asked, html("div", { class: "near" }, ...near)));
  }
  if (pairs) find("agreement").textContent = `${agree} of these ${pairs} neighbours share the label of their sample (✓, solid frame); the others are marked ✗, dashed.`;
}

// Rows of a table beside each other: a column for each, and what differs from the first stands back.
function comparison(asked, near, query, index) {
  const head = html("tr", {}, html("td"), ...[asked, ...near].map(figure => html("th", { scope: "col" }, figure)));
  const lines = data.columns.map((name, k) => html("tr", {}, html("th", { scope: "row" }, html("bdi", {}, name)),
    ...[query, ...index].map(i => html("td", { class: data.cells[i][k] === data.cells[query][k] ? null : "differs" }, html("bdi", {}, data.cells[i][k])))));
  const table = html("table", { class: "near" }, html("thead", {}, head), html("tbody", {}, ...lines));
  return html("div", { class: "comparison", tabindex: 0, role: "region", "aria-label": `Neighbours of ${data.names[query]}` }, table);
}

function offerCopy() {
  const button = find("copy");
  button?.addEventListener("click", async () => {
    const text = find("command").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(find("command"));
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    find("live").textContent = button.textContent;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// Decoded once into a canvas: browsers may forget a decoded picture between two uses.
function load(uri) {
  return new Promise((done, refuse) => {
    const image = new Image();
    image.onerror = refuse;
    image.onload = () => {
      const canvas = html("canvas", { width: image.width, height: image.height });
      canvas.getContext("2d").drawImage(image, 0, 0);
      done(canvas);
    };
    image.src = uri;
  });
}

async function start() {
  const attempt = draw => { try { draw(); } catch (error) { fail(`${draw.name}: ${error.message}`); } };
  [offerCopy, drawCurves, drawMap, drawSpectrum].forEach(attempt);
  if (data.sprite) await load(data.sprite.uri).then(canvas => { sheet = canvas; }, () => fail("the thumbnails could not be read"));
  if (data.closeups) await load(data.closeups.uri).then(canvas => { largeSheet = canvas; }, () => fail("the portraits could not be read"));
  attempt(drawNeighbours);
  root.dataset.ready = "true";
}
start();
