// Nodes with their GPUs: each GPU a bar, each pod on it a slice.

import { byId, element, Limit, reconcile, setAttribute, setClass, setPercent, setText } from "./dom.js";
import { gpus, memory, percent } from "./format.js";
import { colour } from "./palette.js";

let limit = null;

export function drawNodes({ nodes }, again) {
  limit ??= new Limit(byId("nodes-more"), 20, "nodes", again);
  reconcile(byId("nodes"), limit.take(nodes), { key: (node) => node.name, create: card, update: fill });
}

function card() {
  const head = element("div", "node-head", element("h3"), element("span", "quiet"));
  return element("article", "node", head, element("p", "model quiet"), element("div", "gpus"));
}

function fill(node, { name, gpus: devices }) {
  const [head, model, bars] = node.children;
  const models = new Set(devices.map((device) => device.model));
  const sum = (field) => devices.reduce((total, device) => total + device[field], 0);
  setText(head.children[0], name);
  setText(head.children[1], `${gpus(sum("allocated"))} of ${gpus(sum("capacity"))}`);
  setText(model, models.size === 1 ? `${devices.length} × ${devices[0].model}` : "several models");
  const items = devices.map((device) => ({ ...device, mixed: models.size > 1 }));
  reconcile(bars, items, { key: (device) => device.uuid, create: row, update: fillRow });
}

function row() {
  const bar = element("div", "bar", element("div", "slices"), element("div", "stranger"));
  const load = element("div", "load", element("div", "busy"));
  const middle = element("div", "middle", element("span", "model quiet"), bar, load);
  const made = element("div", "gpu", element("span", "index"), middle, element("span", "part"));
  made.setAttribute("role", "group");
  return made;
}

function fillRow(made, device) {
  const [index, middle, part] = made.children;
  const [model, bar, load] = middle.children;
  const share = device.capacity ? device.allocated / device.capacity : 0;
  setClass(made, device.healthy ? "gpu" : "gpu faulty");
  setAttribute(made, "aria-label", describe(device, share));
  setText(index, String(device.index));
  model.hidden = !device.mixed;
  setText(model, device.model);
  setText(part, device.healthy ? percent(share) : "faulty");
  setAttribute(load, "title", `load measured: ${percent(device.load)}`);
  setPercent(load.firstChild, "width", device.load);
  drawStranger(bar.children[1], device);
  const slices = device.slices.map((slice) => ({ ...slice, of: device.capacity }));
  reconcile(bar.children[0], slices, { key: sliceKey, create: newSlice, update: fillSlice });
}

const sliceKey = (slice, place) => `${slice.tenant} ${slice.pod} ${place}`;

function newSlice() {
  return element("div", "", element("span", "label"));
}

function fillSlice(made, slice) {
  const state = slice.bound ? "" : " (reserved, not yet bound)";
  setClass(made, `slice ${colour(slice.tenant)}${slice.bound ? "" : " reserved"}`);
  setPercent(made, "width", slice.of ? slice.gpus / slice.of : 0);
  setAttribute(
    made,
    "title",
    `${slice.pod}${state}\ntenant ${slice.tenant}${slice.user && `, user ${slice.user}`}\n${gpus(slice.gpus)} GPU, ${memory(slice.memory_mib)}`,
  );
  setText(made.firstChild, slice.tenant);
}

function drawStranger(made, device) {
  const share = device.memory_mib ? device.foreign_mib / device.memory_mib : 0;
  made.hidden = share <= 0;
  setPercent(made, "width", share);
  setAttribute(made, "title", `${memory(device.foreign_mib)} held by others than our pods`);
}

function describe(device, share) {
  const parts = [`GPU ${device.index}, ${device.model}, ${percent(share)} allocated`];
  if (!device.healthy) parts.push("faulty");
  for (const slice of device.slices) {
    parts.push(`${slice.tenant} ${gpus(slice.gpus)}${slice.bound ? "" : " reserved"}`);
  }
  if (device.foreign_mib) parts.push(`${memory(device.foreign_mib)} held by others`);
  parts.push(`load ${percent(device.load)}`);
  return parts.join(", ");
}
