// The table of tenants: what each is due, what it got, and how that adds up over time.

import { byId, element, Limit, reconcile, setAttribute, setClass, setPercent, setText } from "./dom.js";
import { aligned, balance, gpus, percent, plural } from "./format.js";
import { colour } from "./palette.js";

// The bar ends at one and a half times the due, so that it can show more than 100 %.
const LONGEST = 1.5;

let limit = null;

export function drawTenants({ tenants }, again) {
  limit ??= new Limit(byId("tenants-more"), 40, "tenants", again);
  const shown = limit.take(ordered(tenants));
  reconcile(byId("tenants"), shown, { key: (row) => row.key, create, update });
}

// Each parent before its children, otherwise as they come.
function ordered(tenants) {
  const below = new Map();
  for (const tenant of tenants) {
    below.set(tenant.parent, [...(below.get(tenant.parent) ?? []), tenant]);
  }
  const result = [];
  const walk = (parent, depth) => {
    for (const tenant of below.get(parent) ?? []) {
      result.push({ ...tenant, depth, key: tenant.name });
      result.push(...users(tenant, depth + 1));
      walk(tenant.name, depth + 1);
    }
  };
  walk(null, 0);
  return result;
}

// Users share alike: they have neither guarantee nor weight nor limit. A slash is in no tenant's name.
function users(tenant, depth) {
  return tenant.users.map((user) => {
    const name = user.name || "(no user)";
    return { ...user, name, key: `${tenant.name}/${user.name}`, of: tenant.name, leaf: true, depth };
  });
}

// What has no column of its own.
function notes({ budget, more_users: more }) {
  const said = [];
  if (budget) said.push(`${gpus(budget.used_gpu_hours)} of ${gpus(budget.gpu_hours)} GPU-hours of its budget are used`);
  if (more) said.push(`${plural(more, "more user")}`);
  return said.join("\n");
}

function create() {
  const name = element("th", "", element("span", "key"), element("span", "name"), element("small", "quiet terms"));
  name.scope = "row";
  const bullet = element("div", "bullet", element("div", "got"), element("div", "due"), element("div", "over"));
  bullet.setAttribute("role", "img");
  const cells = ["number exact", "number exact", "number", "", ...new Array(5).fill("number")];
  return element("tr", "", name, element("td", "wide", bullet), ...cells.map((classes) => element("td", classes)));
}

function update(row, tenant) {
  const [name, bar, ...cells] = row.children;
  const owner = tenant.of ?? tenant.name;
  const idle = !tenant.fair_share && !tenant.allocated;
  setClass(row, `${tenant.leaf ? "" : "inner"} ${idle ? "idle" : ""} depth${Math.min(tenant.depth, 4)}`);
  setClass(name.children[0], tenant.leaf ? `key ${colour(owner)}` : "key group");
  const spent = tenant.budget ? ` (${percent(tenant.budget.used_gpu_hours / tenant.budget.gpu_hours)} of budget)` : "";
  setText(name.children[1], tenant.name + spent);
  setAttribute(row, "title", notes(tenant));
  setText(name.children[2], `${gpus(tenant.allocated)} of ${gpus(tenant.fair_share)}`);
  drawBullet(bar.firstChild, tenant);
  const texts = [
    aligned(tenant.allocated),
    aligned(tenant.fair_share),
    tenant.ratio === null ? "–" : percent(tenant.ratio),
    balance(tenant.lag),
    tenant.running_pods.toLocaleString("en"),
    tenant.pending_pods.toLocaleString("en"),
    tenant.of ? "" : guarantee(tenant),
    tenant.of ? "" : gpus(tenant.weight),
    tenant.of ? "" : tenant.limit === null ? "–" : gpus(tenant.limit),
  ];
  texts.forEach((text, place) => setText(cells[place], text));
}

// What it brought, where that is its guarantee; with all of it where a part is missing.
function guarantee({ guarantee, contributed, brought, missing }) {
  if (!contributed) return gpus(guarantee);
  return missing ? `${gpus(guarantee)} of ${gpus(brought)} brought` : `${gpus(guarantee)} brought`;
}

function drawBullet(bullet, tenant) {
  const [got, due, over] = bullet.children;
  const ratio = tenant.ratio ?? (tenant.allocated ? Infinity : 0);
  setClass(got, `got ${tenant.leaf ? colour(tenant.of ?? tenant.name) : "group"}`);
  setPercent(got, "width", Math.min(ratio, LONGEST) / LONGEST);
  setPercent(due, "left", 1 / LONGEST);
  over.hidden = ratio <= LONGEST;
  setText(over, "›");
  setAttribute(bullet, "aria-label", `got ${gpus(tenant.allocated)} of ${gpus(tenant.fair_share)} GPUs due`);
}
