// Small charts over time, one a tenant on one scale, and two of the whole cluster.

import { byId, element, Limit, reconcile, setAttribute, setClass, setPercent, setText, svg } from "./dom.js";
import { clock, gpus } from "./format.js";
import { colour } from "./palette.js";

const WIDTH = 300;
const HEIGHT = 100;
const TICKS = [0, 0.25, 1, 4, 16, 64, 256, 1024, 4096];

const linear = (value, top) => value / top;
// Large and small tenants share a scale, and both stay readable on it.
const root = (value, top) => Math.sqrt(value / top);

let limit = null;

export function drawCharts(past, leaves, again) {
  limit ??= new Limit(byId("charts-more"), 24, "tenants", again);
  const present = leaves.filter((name) => past.tenants.has(name));
  setText(byId("span"), caption(past.at));
  reconcile(byId("charts"), tenantCharts(past, limit.take(present)), { key, create, update });
  reconcile(byId("cluster-charts"), clusterCharts(past), { key, create, update });
}

const key = (chart) => chart.name;

function caption(at) {
  if (at.length < 2) return "";
  return `${clock(at[0])} to ${clock(at.at(-1))} · GPUs on one square-root scale`;
}

function tenantCharts(past, names) {
  let top = 1;
  for (const name of names) {
    const { due, got } = past.tenants.get(name);
    for (const value of due) if (value > top) top = value;
    for (const value of got) if (value > top) top = value;
  }
  const reached = TICKS.filter((tick) => tick > 0 && tick <= top);
  const ticks = [0, ...reached.slice(-3)];
  return names.map((name) => {
    const { due, got } = past.tenants.get(name);
    const now = `${gpus(got.at(-1) ?? 0)} of ${gpus(due.at(-1) ?? 0)}`;
    const lines = [{ values: got, kind: "got" }, { values: due, kind: "due" }];
    return { name, now, classes: colour(name), at: past.at, top, ticks, scale: root, lines };
  });
}

function clusterCharts({ at, cluster: { jain, free, fragmented } }) {
  const most = Math.max(1, ...free, ...fragmented);
  const last = (values) => values.at(-1) ?? 0;
  return [
    {
      name: "Jain index", now: last(jain).toFixed(3), classes: "plain", at,
      top: 1, ticks: [0, 0.5, 1], scale: linear, lines: [{ values: jain, kind: "got" }],
    },
    {
      name: "Free GPUs",
      now: `${gpus(last(free))} · dashed: fragmented ${gpus(last(fragmented))}`,
      classes: "plain", at, top: most, ticks: [0, most], scale: linear,
      lines: [{ values: free, kind: "got" }, { values: fragmented, kind: "due" }],
    },
  ];
}

function create() {
  const head = element("figcaption", "", element("span", "key"), element("span", "name"), element("span", "now quiet"));
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(svg("path", { class: "area" }), svg("path", { class: "line got" }), svg("path", { class: "line due" }));
  return element("figure", "chart", head, element("div", "plot", element("div", "grid"), picture));
}

function update(figure, chart) {
  const [head, plot] = figure.children;
  const [grid, picture] = plot.children;
  setClass(figure, `chart ${chart.classes}`);
  setClass(head.children[0], `key ${chart.classes}`);
  setText(head.children[1], chart.name);
  setText(head.children[2], chart.now);
  const ticks = chart.ticks.map((tick) => ({ tick, height: chart.scale(tick, chart.top) }));
  reconcile(grid, ticks, { key: (_, place) => place, create: () => element("span", "tick"), update: drawTick });
  const [got, due] = chart.lines.map(({ values }) => steps(chart, values));
  setAttribute(picture.children[0], "d", got.area);
  setAttribute(picture.children[1], "d", got.line);
  setAttribute(picture.children[2], "d", due ? due.line : "");
}

function drawTick(mark, { tick, height }) {
  setPercent(mark, "bottom", height);
  setText(mark, gpus(tick));
}

// A value holds until the next one: people have GPUs, or they don't.
function steps({ at, top, scale }, values) {
  const first = at[0];
  const span = Math.max(1e-9, at.at(-1) - first);
  let line = "";
  let area = "";
  let open = null;
  const close = (x) => {
    if (open !== null) area += `V${HEIGHT}H${open}Z`;
    if (open !== null) line += `H${x}`;
    open = null;
  };
  let x = 0;
  values.forEach((value, place) => {
    x = (((at[place] - first) / span) * WIDTH).toFixed(1);
    if (value === null) {
      close(x);
      return;
    }
    const y = (HEIGHT - scale(Math.min(value, top), top) * (HEIGHT - 2) - 1).toFixed(1);
    const move = open === null ? `M${x} ${y}` : `H${x}V${y}`;
    open ??= x;
    line += move;
    area += move;
  });
  close(x);
  return { line, area };
}
