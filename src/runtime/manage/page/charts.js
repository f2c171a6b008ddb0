"use strict";

// Charts of the last minutes, as SVG.

const HEIGHT = 152, LEFT = 56, RIGHT = 4, BOTTOM = 18, TOP = 8;
// Seconds: the most that is shown, and the least.
const SPAN = 600, START = 60;

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

// Draws series of samples: { name, values, colour }, the newest value last, one a second. Stacked, each stands on those
// before.
function draw(place, series, format, stacked) {
  const width = Math.max(200, place.clientWidth);
  const sums = [];
  const tops = series.map(({ values }) => values.map((value, index) => {
    if (stacked) sums[index] = (sums[index] ?? 0) + (value ?? 0);
    return stacked ? sums[index] : value;
  }));
  const most = ceiling(Math.max(0, ...tops.flat().filter((value) => value != null)));
  const span = Math.min(SPAN, Math.max(START, series[0].values.length));
  const x = (index, length) => width - RIGHT - (length - 1 - index) * (width - LEFT - RIGHT) / (span - 1);
  const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / most;
  const at = (value, index, length) => `${x(index, length).toFixed(1)},${y(value).toFixed(1)}`;
  const colour = (number) => `s${series[number].colour ?? number % 7}`;
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  const write = (text, left, top, anchor) => svg.append(element("text", { x: left, y: top, "text-anchor": anchor }, text));
  for (const part of [0, 0.5, 1]) {
    const top = y(most * part);
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: top, y2: top }));
    write(format(most * part), LEFT - 6, top + 4, "end");
  }
  write(span > 60 ? `${Math.round(span / 60)} min ago` : "1 min ago", LEFT, HEIGHT - 4, "start");
  write("now", width - RIGHT, HEIGHT - 4, "end");
  tops.forEach((values, number) => {
    const line = values.map((value, index) => value == null ? null : at(value, index, values.length)).filter((point) => point);
    if (!stacked) {
      svg.append(element("polyline", { class: `line ${colour(number)}`, points: line.join(" ") }));
      return;
    }
    const below = number > 0 ? tops[number - 1] : values.map(() => 0);
    const back = below.map((value, index) => at(value, index, below.length)).reverse();
    svg.append(element("polygon", { class: `area ${colour(number)}`, points: [...line, ...back].join(" ") }));
  });
  const legend = document.createElement("ul");
  legend.className = "legend";
  series.forEach(({ name, values }, number) => {
    const item = document.createElement("li"), mark = document.createElement("i");
    mark.className = colour(number);
    item.append(mark, `${name} ${format(values.at(-1))}`);
    legend.append(item);
  });
  place.replaceChildren(svg, legend);
}
