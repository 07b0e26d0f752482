// Who waits, since when and why: equal requests that wait for the same reason are one row.

import { byId, element, reconcile, setAttribute, setClass, setText } from "./dom.js";
import { duration, plural } from "./format.js";
import { colour } from "./palette.js";

export function drawWaiting({ at, waiting }) {
  const rows = waiting.groups.map((group) => ({ ...group, at }));
  reconcile(byId("waiting"), rows, { key, create, update });
  setText(byId("waiting-count"), waiting.pods ? plural(waiting.pods, "pod") : "nobody waits");
  const more = `… and ${plural(waiting.more_pods, "pod")} more in ${plural(waiting.more_groups, "group")}`;
  setText(byId("waiting-more"), waiting.more_groups ? more : "");
}

const key = (group) => JSON.stringify([group.tenant, group.request, group.sentence]);

function create() {
  const tenant = element("th", "", element("span", "key"), element("span", "name"));
  tenant.scope = "row";
  const cells = ["number", "", "number", "why"].map((classes) => element("td", classes));
  const row = element("tr", "", tenant, ...cells);
  // On a phone the row is laid out anew; the roles keep it a row of a table to those who listen.
  row.setAttribute("role", "row");
  tenant.setAttribute("role", "rowheader");
  for (const cell of cells) cell.setAttribute("role", "cell");
  return row;
}

function update(row, group) {
  const [tenant, pods, request, longest, why] = row.children;
  setClass(tenant.children[0], `key ${colour(group.tenant)}`);
  setText(tenant.children[1], group.tenant);
  setText(pods, group.pods.toLocaleString("en"));
  setText(request, group.request);
  setText(longest, duration(group.at - group.since));
  setText(why, group.sentence);
  const rest = group.pods - group.examples.length;
  setAttribute(row, "title", group.examples.join("\n") + (rest > 0 ? `\n… and ${rest} more` : ""));
}
