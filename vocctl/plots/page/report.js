"use strict";
// Tables: a click on a column's header sorts by it, numbers in descending and text in ascending order; another click reverses.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => header.firstElementChild.addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows];
    const value = row => row.cells[column].dataset.value;
    const numeric = rows.every(row => value(row) === "" || !isNaN(value(row)));
    const order = header.getAttribute("aria-sort");
    const ascending = order === "none" ? !numeric : order === "descending";
    const defined = rows.filter(row => value(row) !== ""), undefinedRows = rows.filter(row => value(row) === "");
    defined.sort((a, b) => numeric ? value(a) - value(b) : value(a).localeCompare(value(b)));
    if (!ascending) defined.reverse();
    table.tBodies[0].append(...defined, ...undefinedRows);  // undefined values are last in both orders
    headers.forEach(cell => cell.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }));
}

// Figures: a click shows the figure at full size in a dialog.
const enlarged = document.querySelector("#enlarged");
for (const link of document.querySelectorAll("a.zoom")) {
  const open = event => {
    event.preventDefault();
    enlarged.querySelector("img").src = link.querySelector("img").src;
    enlarged.querySelector("img").alt = link.querySelector("img").alt;
    enlarged.showModal();
  };
  link.addEventListener("click", open);
  link.addEventListener("keydown", event => { if (event.key === " ") open(event); });
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
}

// Gallery: filters, and the viewer with its divider between image and overlay.
const filters = document.querySelector(".filters");
if (filters) {
  const cards = [...document.querySelectorAll(".cards li")];
  const visibleCards = () => cards.filter(card => !card.hidden);
  const applyFilters = () => {
    for (const card of cards) {
      card.hidden = [...filters.querySelectorAll("select")].some(
        select => select.value && !card.dataset[select.name].split("|").includes(select.value));
    }
    filters.querySelector("output").textContent = `${visibleCards().length} of ${cards.length}`;
  };
  filters.addEventListener("change", applyFilters);
  filters.addEventListener("reset", () => setTimeout(applyFilters));
  filters.addEventListener("submit", event => event.preventDefault());
  applyFilters();

  const viewer = document.querySelector("#viewer");
  const topImage = viewer.querySelector(".top"), baseImage = viewer.querySelector(".base");
  const range = viewer.querySelector("input"), choices = viewer.querySelector(".choices");
  let current = null;
  const moveDivider = () => { topImage.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`; };
  const showLayer = (layer, button) => {
    topImage.src = layer.src;
    topImage.alt = `${layer.dataset.name}, over the image`;
    topImage.style.opacity = layer.classList.contains("overlay") ? 0.7 : 1;
    viewer.querySelector(".layer-name").textContent = layer.dataset.name;
    [...choices.children].forEach(choice => choice.setAttribute("aria-pressed", choice === button));
  };
  const showCard = card => {
    current = card;
    const layers = [...card.querySelectorAll(".layer")];
    viewer.querySelector("h3").textContent = card.querySelector(".id").textContent;
    baseImage.src = card.querySelector(".image").src;
    baseImage.alt = `image ${card.querySelector(".id").textContent}`;
    choices.replaceChildren(...layers.map(layer => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = layer.dataset.name;
      button.addEventListener("click", () => showLayer(layer, button));
      return button;
    }));
    viewer.querySelector(".slide").hidden = layers.length === 0;
    topImage.removeAttribute("src");
    if (layers.length) showLayer(layers[0], choices.firstElementChild);
    viewer.querySelector(".description").replaceChildren(...[...card.querySelectorAll(".line")].map(line => {
      const paragraph = document.createElement("p");
      paragraph.textContent = line.textContent;
      return paragraph;
    }));
    const classes = card.dataset.classes.split("|");
    for (const item of viewer.querySelectorAll(".legend li")) {
      item.hidden = !layers.length || !(classes.includes(item.dataset.class) || item.dataset.class.startsWith("errors: "));
    }
    viewer.querySelector(".position").textContent = `${visibleCards().indexOf(card) + 1} of ${visibleCards().length}`;
    moveDivider();
  };
  const moveBy = offset => {
    const visible = visibleCards();
    showCard(visible[(visible.indexOf(current) + offset + visible.length) % visible.length]);
  };
  range.addEventListener("input", moveDivider);
  for (const card of cards) {
    card.querySelector("button").addEventListener("click", () => { showCard(card); viewer.showModal(); });
  }
  viewer.querySelector(".previous").addEventListener("click", () => moveBy(-1));
  viewer.querySelector(".next").addEventListener("click", () => moveBy(1));
  viewer.addEventListener("keydown", event => {
    if (event.target === range) return;  // its arrow keys move the divider
    if (event.key === "ArrowLeft") moveBy(-1);
    if (event.key === "ArrowRight") moveBy(1);
  });
  viewer.addEventListener("close", () => current && current.querySelector("button").focus());
}
