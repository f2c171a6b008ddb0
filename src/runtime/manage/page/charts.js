"use strict";

// Charts of the last minutes, as SVG.

const WIDTH = 600, HEIGHT = 152, LEFT = 52, BOTTOM = 18, TOP = 8;
const SPAN = 300;

function element(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The next of 1, 2, 5, 10 ... that is not smaller.
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

// Draws series of samples: { name, values }, the newest value last, one a second. Stacked, each stands on those before.
function draw(place, series, format, stacked) {
  const sums = [];
  const tops = series.map(({ values }) => values.map((value, index) => {
    const top = stacked ? (sums[index] ?? 0) + (value ?? 0) : value;
    sums[index] = top;
    return top;
  }));
  const most = ceiling(Math.max(0, ...tops.flat().filter((value) => value != null)));
  const x = (index, length) => WIDTH - 4 - (length - 1 - index) * (WIDTH - LEFT - 4) / (SPAN - 1);
  const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / most;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  for (const part of [0, 0.5, 1]) {
    const at = y(most * part);
    svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - 4, y1: at, y2: at }));
  }
  const paths = tops.map((values, number) => {
    const points = values.map((value, index) => [x(index, values.length), value]).filter(([, value]) => value != null);
    const line = points.map(([at, value]) => `${at.toFixed(1)},${y(value).toFixed(1)}`);
    if (!stacked) return element("polyline", { class: `line s${number % 7}`, points: line.join(" "), "vector-effect": "non-scaling-stroke" });
    const below = number > 0 ? tops[number - 1] : values.map(() => 0);
    const back = below.map((value, index) => `${x(index, below.length).toFixed(1)},${y(value).toFixed(1)}`).reverse();
    return element("polygon", { class: `area s${number % 7}`, points: [...line, ...back].join(" ") });
  });
  svg.append(...paths);
  const legend = document.createElement("ul");
  legend.className = "legend";
  series.forEach(({ name, values }, number) => {
    const item = document.createElement("li"), mark = document.createElement("i");
    mark.className = `s${number % 7}`;
    item.append(mark, `${name} ${format(values.at(-1))}`);
    legend.append(item);
  });
  place.replaceChildren(svg, legend);
  label(svg, place, most, format);
}

// Words are not to be stretched with the picture, so they are drawn by the size that it has.
function label(svg, place, most, format) {
  const scale = WIDTH / Math.max(1, svg.clientWidth || place.clientWidth);
  const write = (text, x, y, anchor) => {
    const words = element("text", { transform: `translate(${x} ${y}) scale(${scale.toFixed(3)} 1)`, "text-anchor": anchor });
    words.textContent = text;
    svg.append(words);
  };
  for (const part of [0, 0.5, 1]) {
    const at = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * part;
    write(format(most * part), LEFT - 6, at + 4, "end");
  }
  write("5 min ago", LEFT, HEIGHT - 4, "start");
  write("now", WIDTH - 4, HEIGHT - 4, "end");
}
