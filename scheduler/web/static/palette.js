// A colour for each tenant: the same for as long as this browser remembers, whoever comes or goes.

const HUES = 12;
const VARIANTS = 3;
const STORE = "equipoise-colours";
const MOST = 500;

const slots = new Map(load().map((name, slot) => [name, slot]));

// Names in the order in which they were first seen; the first twelve get plain hues, the next ones
// the same hues with a pattern.
export function remember(names) {
  const fresh = names.filter((name) => !slots.has(name));
  if (!fresh.length) return;
  for (const name of fresh) slots.set(name, slots.size);
  save();
}

export function colour(name) {
  if (!slots.has(name)) remember([name]);
  const slot = slots.get(name);
  const variant = Math.floor(slot / HUES) % VARIANTS;
  return `c${slot % HUES}${variant ? ` v${variant}` : ""}`;
}

function load() {
  try {
    const names = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

function save() {
  try {
    localStorage.setItem(STORE, JSON.stringify([...slots.keys()].slice(0, MOST)));
  } catch {
    // A browser that stores nothing still shows colours; they may differ after a reload.
  }
}
