// Drawing with the DOM only. Text is always set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const whole = (value) => WHOLE.format(value);
export const percent = (ratio) => `${SHORT.format(100 * ratio)} %`;
export const milliseconds = (value) => (value === null ? "–" : `${SHORT.format(value)} ms`);

export function duration(seconds) {
  if (seconds < 60) return `${SHORT.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${WHOLE.format(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Fills a <dl> and highlights values that have changed.
export function tiles(list, values) {
  for (const [label, text, note] of values) {
    let value = list.querySelector(`[data-label="${label}"]`);
    if (!value) {
      value = element("dd", { "data-label": label });
      list.append(element("div", {}, element("dt", {}, label), value));
    }
    const shown = value.dataset.shown;
    if (shown === text) continue;
    value.dataset.shown = text;
    value.replaceChildren(text, ...(note ? [" ", element("small", {}, note)] : []));
    if (shown !== undefined) {
      value.classList.remove("changed");
      void value.offsetWidth; // restarts the animation
      value.classList.add("changed");
    }
  }
}

export function rows(table, lines) {
  table.tBodies[0].replaceChildren(
    ...lines.map(([head, ...cells]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, head),
        ...cells.map((cell) => (cell instanceof Node ? cell : element("td", {}, cell))),
      ),
    ),
  );
}

// The same numbers as a table, for screen readers. It stays open when it is drawn again.
function asTable(place, headings, lines) {
  let box = place.querySelector(".as-table");
  if (!box) {
    const head = element("tr", {}, ...headings.map((heading) => element("th", { scope: "col" }, heading)));
    const table = element("table", {}, element("thead", {}, head), element("tbody"));
    box = element("details", { class: "as-table" }, element("summary", {}, "As a table"), element("div", {}, table));
    place.append(box);
  }
  rows(box.querySelector("table"), lines);
}

function picture(place, drawn) {
  const old = place.querySelector(".picture");
  drawn.classList.add("picture");
  if (old) old.replaceWith(drawn);
  else place.prepend(drawn);
}

// bars: [{label, value, bad?}], oldest first; `bad` is the part of the value drawn in red.
export function bars(place, what, data) {
  const highest = Math.max(1, ...data.map((datum) => datum.value));
  const slots = data.map((datum, index) => {
    const bar = (value, name) =>
      shape("rect", { x: index + 0.1, width: 0.8, y: 100 - (100 * value) / highest, height: (100 * value) / highest, class: name });
    const words = `${datum.label}: ${whole(datum.value)}${datum.bad ? `, ${whole(datum.bad)} failed` : ""}`;
    return shape(
      "g",
      {},
      bar(datum.value, "bar"),
      bar(datum.bad ?? 0, "bar bad"),
      shape("rect", { x: index, width: 1, y: 0, height: 100, class: "slot" }, shape("title", {}, words)),
    );
  });
  const total = data.reduce((sum, datum) => sum + datum.value, 0);
  const label = `${what}: ${whole(total)} in all, at most ${whole(Math.max(0, ...data.map((datum) => datum.value)))} at a time`;
  const svg = shape("svg", { viewBox: `0 0 ${data.length} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...slots);
  const axis = element("div", { class: "axis", "aria-hidden": "true" }, element("span", {}, data[0].label), element("span", {}, `highest ${whole(highest)}`), element("span", {}, data.at(-1).label));
  picture(place, element("div", {}, svg, axis));
  asTable(place, ["When", what], data.map((datum) => [datum.label, whole(datum.value)]));
}

// days: the days of the heatmap answer. One column per week, Monday on top.
export function calendar(place, days) {
  const highest = Math.max(1, ...days.map((day) => day.activity_count));
  const grid = element("div", { class: "calendar", role: "img" });
  let column = 1;
  for (const [index, day] of days.entries()) {
    const date = new Date(`${day.date}T00:00:00Z`);
    const weekday = (date.getUTCDay() + 6) % 7;
    if (weekday === 0 && index > 0) column += 1;
    if (date.getUTCDate() === 1) {
      const month = element("span", { class: "month" }, date.toLocaleString("en", { month: "short", timeZone: "UTC" }));
      month.style.gridColumn = `${column} / span 4`;
      grid.append(month);
    }
    const square = element("i", {
      "data-level": Math.ceil((4 * day.activity_count) / highest),
      title: `${day.date}: ${whole(day.activity_count)} activities, ${duration(60 * day.duration_minutes)}, ${whole(day.xp_earned)} XP`,
    });
    square.style.gridArea = `${weekday + 2} / ${column}`;
    grid.append(square);
  }
  const active = days.filter((day) => day.activity_count > 0);
  const count = active.reduce((sum, day) => sum + day.activity_count, 0);
  grid.setAttribute("aria-label", `${whole(count)} activities on ${active.length} of ${days.length} days`);
  const isFirst = !place.hasChildNodes();
  picture(place, grid);
  if (isFirst) place.scrollLeft = place.scrollWidth;
  asTable(
    place,
    ["Date", "Activities", "Time", "XP"],
    active.toReversed().map((day) => [day.date, whole(day.activity_count), duration(60 * day.duration_minutes), whole(day.xp_earned)]),
  );
}
