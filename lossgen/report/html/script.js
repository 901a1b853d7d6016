"use strict";
// Tables sort by a click on a column's head, texts are copied by a click on their button; all else works without this.

function valueOf(cell) {
  const text = cell.textContent.trim().replace("−", "-").replace(/^< /, "");
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? null : number;
}

function sortBy(table, column, header) {
  const rising = header.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map((row) => [row.cells[column].textContent.trim(), valueOf(row.cells[column]), row]);
  const numeric = rows.some(([, number]) => number !== null) && !header.classList.contains("text");
  rows.sort(([a, x], [b, y]) => {
    if (!numeric) return rising ? a.localeCompare(b) : b.localeCompare(a);
    if (x === null || y === null) return (x === null) - (y === null); // what has no number comes last
    return rising ? x - y : y - x;
  });
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  body.append(...rows.map(([, , row]) => row));
}

for (const table of document.querySelectorAll("table")) {
  for (const header of table.tHead.rows[0].cells) {
    header.querySelector("button").addEventListener("click", () => sortBy(table, header.cellIndex, header));
  }
}

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // a file that was opened by double click is no secure context
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await copy(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed: select it";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}

// The page of a run that goes on is written anew from time to time; it is loaded anew unless somebody is reading in it.
const reload = document.querySelector("#reload");
if (reload) {
  reload.hidden = false;
  setInterval(() => {
    const reading = document.querySelector("details[open]") || String(document.getSelection()).length;
    if (reload.querySelector("input").checked && !reading) location.reload();
  }, 60_000);
}
