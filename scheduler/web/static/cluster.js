// The line at the top: how the whole cluster stands.

import { byId, element, reconcile, setClass, setText } from "./dom.js";
import { gpus, percent, plural } from "./format.js";

export function drawCluster({ title, facts, cluster }) {
  setText(byId("title"), title || "Equipoise");
  setText(byId("facts"), facts.join(" · "));
  document.title = `${gpus(cluster.allocated)} of ${gpus(cluster.gpus)} GPUs · ${title || "Equipoise"}`;
  reconcile(byId("tiles"), tiles(cluster), { key: (tile) => tile.name, create, update });
}

function tiles(cluster) {
  const part = (amount) => (cluster.gpus ? percent(amount / cluster.gpus) : "–");
  const sold = cluster.oversold > 0;
  return [
    { name: "GPUs", value: gpus(cluster.gpus), note: plural(cluster.devices, "device") },
    { name: "allocated", value: gpus(cluster.allocated), note: part(cluster.allocated) },
    { name: "free", value: gpus(cluster.free), note: part(cluster.free) },
    { name: "fragmented", value: gpus(cluster.fragmented), note: mainly(cluster) },
    {
      name: "oversold",
      value: gpus(cluster.oversold),
      note: sold ? "✗ sold twice: a bug" : "✓ nothing sold twice",
      kind: sold ? "bad" : "good",
    },
    { name: "Jain index", value: cluster.jain.toFixed(3), note: "1 = equally served" },
    {
      name: "pods",
      value: cluster.running_pods.toLocaleString("en"),
      note: `${cluster.pending_pods.toLocaleString("en")} waiting`,
    },
  ];
}

const CAUSES = {
  devices: "too broken up",
  cpu: "too few cores beside them",
  model: "other models are asked for",
  none: "no GPU is asked for",
};

// The cause of most of it; no more fits a tile.
function mainly({ free, fragments }) {
  const [cause, amount] = Object.entries(fragments).sort(([, a], [, b]) => b - a)[0];
  if (amount > 0) return `${CAUSES[cause]}: ${gpus(amount)}`;
  return free > 0 ? "what is free is of use" : "nothing is free";
}

function create({ name }) {
  return element("div", "tile", element("dt", "", name), element("dd", "value"), element("dd", "note"));
}

function update(tile, { value, note, kind = "" }) {
  setClass(tile, `tile ${kind}`);
  setText(tile.children[1], value);
  setText(tile.children[2], note);
}
