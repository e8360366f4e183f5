"use strict";
// Tables: a head's button sorts by its column; first click the highest number or the first word, second the other way.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows];
    const value = row => row.cells[column].dataset.value;
    const numeric = rows.every(row => value(row) === "" || !isNaN(value(row)));
    const now = head.getAttribute("aria-sort");
    const up = now === "none" ? !numeric : now === "descending";
    const known = rows.filter(row => value(row) !== ""), unknown = rows.filter(row => value(row) === "");
    known.sort((a, b) => numeric ? value(a) - value(b) : value(a).localeCompare(value(b)));
    if (!up) known.reverse();
    table.tBodies[0].append(...known, ...unknown);  // an undefined value stays at the end
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  }));
}

// Pictures: larger in a dialog.
const zoomed = document.querySelector("#zoomed");
for (const link of document.querySelectorAll("a.zoom")) {
  const open = event => {
    event.preventDefault();
    zoomed.querySelector("img").src = link.querySelector("img").src;
    zoomed.querySelector("img").alt = link.querySelector("img").alt;
    zoomed.showModal();
  };
  link.addEventListener("click", open);
  link.addEventListener("keydown", event => { if (event.key === " ") open(event); });
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
}

// Gallery: filters, and the viewer with its slider.
const filters = document.querySelector(".filters");
if (filters) {
  const cards = [...document.querySelectorAll(".cards li")];
  const shown = () => cards.filter(card => !card.hidden);
  const apply = () => {
    for (const card of cards) {
      card.hidden = [...filters.querySelectorAll("select")].some(
        select => select.value && !card.dataset[select.name].split("|").includes(select.value));
    }
    filters.querySelector("output").textContent = `${shown().length} of ${cards.length}`;
  };
  filters.addEventListener("change", apply);
  filters.addEventListener("reset", () => setTimeout(apply));
  filters.addEventListener("submit", event => event.preventDefault());
  apply();

  const viewer = document.querySelector("#viewer");
  const over = viewer.querySelector(".over"), under = viewer.querySelector(".under");
  const range = viewer.querySelector("input"), choices = viewer.querySelector(".choices");
  let current = null;
  const slide = () => { over.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`; };
  const lay = (layer, button) => {
    over.src = layer.src;
    over.alt = `${layer.dataset.name}, over the image`;
    over.style.opacity = layer.classList.contains("overlay") ? 0.7 : 1;
    viewer.querySelector(".right").textContent = layer.dataset.name;
    [...choices.children].forEach(other => other.setAttribute("aria-pressed", other === button));
  };
  const look = card => {
    current = card;
    const layers = [...card.querySelectorAll(".layer")];
    viewer.querySelector("h3").textContent = card.querySelector(".id").textContent;
    under.src = card.querySelector(".image").src;
    under.alt = `image ${card.querySelector(".id").textContent}`;
    choices.replaceChildren(...layers.map(layer => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = layer.dataset.name;
      button.addEventListener("click", () => lay(layer, button));
      return button;
    }));
    viewer.querySelector(".slide").hidden = layers.length === 0;
    over.removeAttribute("src");
    if (layers.length) lay(layers[0], choices.firstElementChild);
    viewer.querySelector(".said").replaceChildren(...[...card.querySelectorAll(".line")].map(line => {
      const said = document.createElement("p");
      said.textContent = line.textContent;
      return said;
    }));
    const classes = card.dataset.classes.split("|");
    for (const item of viewer.querySelectorAll(".legend li")) {
      item.hidden = !layers.length || !(classes.includes(item.dataset.class) || item.dataset.class.startsWith("errors: "));
    }
    viewer.querySelector(".place").textContent = `${shown().indexOf(card) + 1} of ${shown().length}`;
    slide();
  };
  const step = by => {
    const all = shown();
    look(all[(all.indexOf(current) + by + all.length) % all.length]);
  };
  range.addEventListener("input", slide);
  for (const card of cards) {
    card.querySelector("button").addEventListener("click", () => { look(card); viewer.showModal(); });
  }
  viewer.querySelector(".before").addEventListener("click", () => step(-1));
  viewer.querySelector(".next").addEventListener("click", () => step(1));
  viewer.addEventListener("keydown", event => {
    if (event.target === range) return;  // its arrows move the slider
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("close", () => current && current.querySelector("button").focus());
}
