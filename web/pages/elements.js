// Elements with text: names of devices and users become text nodes, never markup.

export const byId = (id) => document.getElementById(id);

// element("p.soft", "text", child, …): a tag with classes and what is in it; null and false are left out.
export function element(kind, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  made.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return made;
}

// Text is written only where it changed: screens and screen readers are left alone otherwise.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// The children of a list, in this order, moving only what lies elsewhere.
export function arrange(parent, children) {
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] || null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}
