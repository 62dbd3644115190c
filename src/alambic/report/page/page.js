"use strict";
// Sorts a table by the column whose heading is pressed: by data-v where a cell has one, else by its text.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const read = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
    };
    const rows = [...table.tBodies[0].rows].map((row) => [read(row), row]);
    rows.sort(([a], [b]) => {
      if (typeof a === "number" && typeof b === "number") return way * (a - b);
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // what has no number stays at the end
      return way * a.localeCompare(b, undefined, { numeric: true });
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }));
}
// A link into a closed part opens it.
const open = () => {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (target) target.scrollIntoView({ block: "center" });
};
addEventListener("hashchange", open);
open();
// Under the pointer, a number shows its query: the text of its line in the list of facts.
const tip = document.getElementById("tip");
const show = (event) => {
  const link = event.target.closest ? event.target.closest('a[href^="#F"]') : null;
  const line = link ? document.getElementById(link.getAttribute("href").slice(1)) : null;
  const query = line ? line.querySelector("td.query") : null;
  tip.hidden = !query;
  if (!query) return;
  const text = query.textContent, place = link.getBoundingClientRect();
  tip.textContent = text.length > 420 ? text.slice(0, 420) + "…" : text;
  tip.style.left = Math.max(8, Math.min(place.left, innerWidth - 480)) + scrollX + "px";
  tip.style.top = place.bottom + scrollY + 8 + "px";
};
addEventListener("pointerover", show);
addEventListener("focusin", show);
// Light, dark, or what the system asks for.
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
