// Elements from data. Texts of others only ever become text nodes.

export const byId = (id) => document.getElementById(id);
export const show = (id, shown) => { byId(id).hidden = !shown; };
export const text = (id, words) => { byId(id).textContent = words; };

// el("td.num", "7") or el("tr", cell, cell); null is left out.
export function el(kind, ...children) {
  const [name, ...classes] = kind.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function fill(id, ...children) {
  byId(id).replaceChildren(...children.filter(Boolean));
}

export const empty = (words) => el("p.empty", words);

// A table; a column whose name begins with "#" holds numbers. The first cell heads its row.
export function table(columns, rows) {
  const isNumber = columns.map((name) => name.startsWith("#"));
  const heads = columns.map((name, at) => {
    const head = el(isNumber[at] ? "th.num" : "th", name.replace("#", ""));
    head.scope = "col";
    return head;
  });
  const lines = rows.map((row) => el("tr", ...row.map((cell, at) => {
    const made = el(at === 0 ? "th" : isNumber[at] ? "td.num" : "td", cell);
    if (at === 0) made.scope = "row";
    return made;
  })));
  // On a small screen it scrolls, also by the keyboard.
  const scroll = el("div.scroll", el("table", el("thead", el("tr", ...heads)), el("tbody", ...lines)));
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", `Table by ${columns[0]}`);
  return scroll;
}

export function tile(name, value, more) {
  return el("div", el("dt", name), el("dd", value, more ? el("small", ` ${more}`) : null));
}

export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl.facts", ...known.flatMap(([name, value]) => [el("dt", name), el("dd", value)]));
}

// A part of a bar, in percent.
export function part(kind, percent, from = 0) {
  const made = el(kind);
  made.style.width = `${Math.max(0, percent)}%`;
  if (from) made.style.marginLeft = `${from}%`;
  return made;
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value < 10000) return String(Math.round(value));
  for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${(value / size).toPrecision(3).replace(/\.?0+$/, "")}${unit}`;
  }
  return String(value);
}

export function dollars(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.01) return "<$0.01";
  return `$${value.toFixed(2)}`;
}

export function millis(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60000) return `${(value / 1000).toFixed(1)} s`;
  if (value < 3600000) return `${Math.floor(value / 60000)} min ${Math.round((value % 60000) / 1000)} s`;
  return `${(value / 3600000).toFixed(1)} h`;
}

// Made once: each takes a browser about a millisecond.
const timeOfDay = new Intl.DateTimeFormat([], { timeStyle: "medium", hour12: false });
const dateAndTime = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });

export function clock(ms) {
  const time = new Date(ms);
  const made = el("time", timeOfDay.format(time));
  made.dateTime = time.toISOString();
  made.title = dateAndTime.format(time);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, words) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (words) made.textContent = words;
  return made;
}

// Bars for [label, value, words], with their sum as the picture's name.
export function bars(items, name) {
  const [width, height, foot] = [720, 140, 20];
  const most = Math.max(...items.map(([, value]) => value), 1e-9);
  const step = width / items.length;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name, preserveAspectRatio: "none" });
  items.forEach(([label, value, words], at) => {
    const tall = (height - foot - 4) * (value / most);
    const mark = svg("rect", { class: "mark", x: at * step + 2, y: height - foot - tall, width: Math.max(1, step - 4), height: tall, rx: 2 });
    mark.append(svg("title", {}, `${label}: ${words}`));
    picture.append(mark);
  });
  picture.append(svg("line", { class: "base", x1: 0, x2: width, y1: height - foot, y2: height - foot }));
  return picture;
}
