"use strict";
document.documentElement.classList.remove("no-script");

const words = new Intl.Collator(undefined, { numeric: true });
const plain = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** Compare two numbers that are the same as doubles by all of their digits. */
const byDigits = (a, b) => {
  const one = plain.exec(a), other = plain.exec(b);
  if (!one || !other) return 0;
  const places = Math.max((one[3] ?? "").length, (other[3] ?? "").length);
  const whole = ([, sign, before, after = ""]) => BigInt((sign === "-" ? "-" : "") + before + after.padEnd(places, "0"));
  const left = whole(one), right = whole(other);
  return left < right ? -1 : left > right ? 1 : 0;
};

const numberOf = text => text.trim() === "" ? NaN : Number(text);
const readers = { number: numberOf, any: numberOf, time: Date.parse, text: () => NaN };

/** What a cell is sorted by. Numbers stand before texts, and null behind both, whichever way it goes. */
const keyOf = (row, place, kind) => {
  const cell = row.cells[place], text = cell.textContent, number = readers[kind](text);
  return { row, text, number, rank: cell.classList.contains("null") ? 2 : Number.isNaN(number) ? 1 : 0 };
};

const compare = (a, b, way) => {
  if (a.rank !== b.rank) return a.rank === 2 || b.rank === 2 ? a.rank - b.rank : way * (a.rank - b.rank);
  if (a.rank === 2) return 0;
  if (a.rank === 1) return way * words.compare(a.text, b.text);
  if (a.number !== b.number) return way * (a.number < b.number ? -1 : 1);
  return way * byDigits(a.text, b.text);
};

for (const table of document.querySelectorAll("table.rows")) {
  const body = table.tBodies[0], headers = [...table.tHead.rows[0].cells], asMade = [...body.rows];

  // A click sorts upwards, the next one downwards, the third brings the order of the data back.
  headers.forEach((header, place) => header.querySelector("button").addEventListener("click", () => {
    const way = { ascending: -1, descending: 0 }[header.getAttribute("aria-sort")] ?? 1;
    for (const one of headers) one.removeAttribute("aria-sort");
    if (way) header.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    const keys = way && asMade.map(row => keyOf(row, place, header.dataset.kind)).sort((a, b) => compare(a, b, way));
    body.append(...(way ? keys.map(one => one.row) : asMade));
  }));

  const section = table.closest("section"), box = section.querySelector("input[type=search]");
  const found = section.querySelector(".found");
  let texts = null;
  box.addEventListener("input", () => {
    texts ??= asMade.map(row => [...row.cells].map(cell => cell.textContent.toLowerCase()));
    const wanted = box.value.toLowerCase();
    let count = 0;
    asMade.forEach((row, place) => {
      row.hidden = wanted !== "" && !texts[place].some(text => text.includes(wanted));
      count += !row.hidden;
    });
    found.textContent = wanted === "" ? "" : `${count.toLocaleString("en")} of ${asMade.length.toLocaleString("en")} rows`;
    table.classList.toggle("none", count === 0);
  });

  // A clipped cell opens and closes by a click; the box "Whole texts" does it for all.
  body.addEventListener("click", event => {
    if (String(getSelection()) === "") event.target.closest("td.long, th.long")?.classList.toggle("open");
  });
}
