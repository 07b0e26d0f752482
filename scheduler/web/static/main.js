// Asks for the state every second and has it drawn. A page that nobody looks at asks nothing.

import { byId, setClass, setText } from "./dom.js";
import { clock } from "./format.js";
import { remember } from "./palette.js";
import { drawCluster } from "./cluster.js";
import { drawNodes } from "./nodes.js";
import { drawTenants } from "./tenants.js";
import { drawCharts } from "./charts.js";
import { drawWaiting } from "./waiting.js";
import { Past } from "./past.js";

const EVERY = 1000;
const PAST_EVERY = 3000;
const SLOWEST = 30000;
const PATIENCE = 15000;

const past = new Past(get);
let state = null;
let failures = 0;
let pastAsked = -Infinity;
let timer = 0;
let asking = false;

async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function draw() {
  if (!state) return;
  // Leaves first: they are who has pods, and the first colours differ most.
  const leaves = state.tenants.filter((tenant) => tenant.leaf).map((tenant) => tenant.name);
  remember(leaves);
  drawCluster(state);
  drawNodes(state, draw);
  drawTenants(state, draw);
  drawCharts(past, leaves, draw);
  drawWaiting(state);
}

async function round() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  const began = performance.now();
  let wait = EVERY;
  try {
    state = await get("/api/v1/state");
    if (began - pastAsked >= PAST_EVERY) {
      await past.refresh(state.at);
      pastAsked = began;
    }
    failures = 0;
    draw();
    say(`live · ${clock(state.at)}`, "live");
    // A large cluster takes longer to send and draw: leave the machine four fifths of the time.
    wait = Math.max(EVERY, (performance.now() - began) * 4);
  } catch (problem) {
    failures += 1;
    wait = Math.min(SLOWEST, EVERY * 2 ** failures);
    say(lost(wait), "lost");
    console.warn(problem);
  } finally {
    asking = false;
    if (!document.hidden) timer = setTimeout(round, wait);
  }
}

function lost(wait) {
  const seen = state ? `; this is how it was at ${clock(state.at)}` : "";
  return `connection lost${seen} · next try in ${Math.round(wait / 1000)} s`;
}

function say(text, kind) {
  const status = byId("status");
  setText(status, text);
  setClass(status, `status ${kind}`);
  document.body.classList.toggle("stale", kind === "lost");
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) round();
});
round();
