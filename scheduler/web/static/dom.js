// The few things that are done to the page. Text goes in as text only, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const known = new WeakMap();

export const byId = (id) => document.getElementById(id);

export function element(tag, classes = "", ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}

export function svg(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Writing what is there already would still cost a layout.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, classes) {
  if (node.className !== classes) node.className = classes;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// In percent; through the style object, which the page's security policy allows.
export function setPercent(node, property, share) {
  const value = `${(Math.max(0, share) * 100).toFixed(2)}%`;
  if (node.style[property] !== value) node.style[property] = value;
}

// One child an item: kept while its key stays, made and removed as items come and go.
export function reconcile(parent, items, { key, create, update }) {
  const before = known.get(parent) ?? new Map();
  const after = new Map();
  items.forEach((item, place) => {
    const name = key(item, place);
    const child = before.get(name) ?? create(item);
    before.delete(name);
    after.set(name, child);
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
    update(child, item);
  });
  for (const child of before.values()) child.remove();
  known.set(parent, after);
}

// Shows the first few of many, and more of them each time the button is pressed.
export class Limit {
  constructor(button, step, word, changed) {
    Object.assign(this, { button, step, word, shown: step });
    button.addEventListener("click", () => {
      this.shown += this.step * 2;
      changed();
    });
  }

  take(items) {
    const rest = items.length - this.shown;
    this.button.hidden = rest <= 0;
    setText(this.button, `show more (${rest} ${this.word} not shown)`);
    return rest > 0 ? items.slice(0, this.shown) : items;
  }
}
