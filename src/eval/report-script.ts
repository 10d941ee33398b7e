/** The report's script: sorts tables and shows single queries. Texts go into the page as text, never as markup. */

/** Plain JavaScript, as it stands in the page. */
export const REPORT_SCRIPT: string = String.raw`
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button === null) return;
    const head = button.closest("th");
    const at = heads.indexOf(head);
    const isText = button.dataset.sort === "text";
    const before = head.getAttribute("aria-sort");
    // First what is most, of texts what comes first.
    const goesUp = before === null ? isText : before === "descending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", goesUp ? "ascending" : "descending");
    const value = (row) => (isText ? row.cells[at].textContent : Number(row.cells[at].dataset.value));
    const compare = (a, b) => (isText ? value(a).localeCompare(value(b)) : value(a) - value(b));
    const rows = [...table.tBodies[0].rows].sort((a, b) => (goesUp ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows);
  });
}

const form = document.getElementById("browse");
const list = document.getElementById("found");
const more = document.getElementById("more");
const status = document.getElementById("count");
const STEP = 20;
const blocks = [...document.querySelectorAll("script.queries")];
const parsed = new Map();
let found = [];

function datasetAt(place) {
  if (!parsed.has(place)) {
    const dataset = JSON.parse(blocks[place].textContent);
    for (const query of dataset.queries) query.dataset = dataset;
    parsed.set(place, dataset);
  }
  return parsed.get(place);
}

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...children);
  return element;
}

function search() {
  const { dataset, outcome, words } = form.elements;
  const wanted = dataset.value === "all" ? blocks.map((_, place) => place) : [Number(dataset.value)];
  const text = words.value.trim().toLowerCase();
  const all = wanted.flatMap((place) => datasetAt(place).queries);
  found = all.filter((query) => hasOutcome(query, outcome.value) && (text === "" || wordsOf(query).includes(text)));
  status.textContent = found.length + " of " + all.length + " embedded queries";
  list.replaceChildren();
  showMore();
}

function hasOutcome({ rank, finish }, outcome) {
  if (outcome === "overrun") return finish === "budget";
  return outcome === "all" || (rank === 1) === (outcome === "right");
}

function wordsOf(query) {
  if (query.words === undefined) {
    const { sides } = query.dataset;
    const places = [query.query, query.rationale, query.right[0], ...query.top.map(([side]) => side)];
    query.words = [query.place, ...places.map((side) => sides[side].text)].join("\n").toLowerCase();
  }
  return query.words;
}

function showMore() {
  const from = list.childElementCount;
  list.append(...found.slice(from, from + STEP).map(entryOf));
  const left = found.length - list.childElementCount;
  more.hidden = left <= 0;
  more.textContent = "Show " + Math.min(STEP, left) + " more";
}

function entryOf(query) {
  const isRight = query.rank === 1;
  const { sides } = query.dataset;
  const text = sides[query.query].text.replace(/<\|[^|<>]*\|>/g, " ").replace(/\s+/g, " ").trim();
  const excerpt = make("span", "excerpt", text === "" ? query.place : text.slice(0, 300));
  excerpt.dir = "auto";
  const summary = make("summary", "", make("span", "mark " + (isRight ? "right" : "wrong"), isRight ? "✓ right" : "✗ rank " + query.rank));
  if (query.finish === "budget") summary.append(make("span", "flag", "overrun"));
  summary.append(excerpt);
  const entry = make("details", "query", summary);
  entry.addEventListener("toggle", () => {
    if (entry.open && entry.childElementCount === 1) entry.append(bodyOf(query));
  });
  return entry;
}

function bodyOf(query) {
  const { dataset } = query;
  const sides = dataset.sides;
  const ends = { emb: "ended by the model", budget: "ended by the budget", direct: "none: embedded directly" };
  const about = query.finish === "direct" ? ends.direct : query.tokens + " tokens, " + ends[query.finish];
  const left = make("div", "about", section("Query", sideOf(dataset, sides[query.query], "query")));
  left.append(section("Rationale (" + about + ")", textOf(sides[query.rationale], "text rationale")));
  left.append(make("p", "place", dataset.name + ", " + query.place + "; main metric " + Number(query.value.toFixed(4))));
  const candidates = make("ol", "candidates", ...query.top.map((it, at) => candidateOf(dataset, it, at + 1)));
  const right = make("div", "", section("Best candidates", candidates));
  if (!query.top.some(([, , , grade]) => grade > 0))
    right.append(section("The right one", make("ol", "candidates", candidateOf(dataset, query.right, query.rank))));
  return make("div", "body", left, right);
}

function section(title, ...children) {
  return make("section", "", make("h3", "", title), ...children);
}

function candidateOf(dataset, [side, index, score, grade], rank) {
  const about = make("div", "score", rank + ". ", score.toFixed(4));
  if (grade > 0) about.append(make("br", ""), make("b", "", grade === 1 ? "right" : "right, grade " + grade));
  about.append(make("br", ""), "candidate " + index);
  const item = make("li", grade > 0 ? "is-right" : "", about, sideOf(dataset, dataset.sides[side], "candidate " + index));
  return item;
}

function sideOf(dataset, side, owner) {
  const element = make("div", "side");
  if (side.pictures.length > 0) {
    const pictures = side.pictures.map((place, at) => pictureOf(dataset.pictures[place], owner + ", picture " + (at + 1)));
    element.append(make("div", "pictures", ...pictures));
  }
  if (side.morePictures > 0) element.append(make("p", "place", side.morePictures + " more pictures"));
  if (side.text !== "") element.append(textOf(side, "text"));
  return element;
}

function textOf(side, className) {
  // The model's own marks are there, but out of the way.
  const parts = side.text.split(/(<\|[^|<>]*\|>)/);
  const element = make("p", className, ...parts.map((part, at) => (at % 2 === 1 ? make("span", "token", part) : part)));
  element.dir = "auto";
  if (side.moreText > 0) element.append(make("span", "place", " … " + side.moreText + " more characters"));
  return element;
}

function pictureOf(address, alt) {
  const image = make("img", "");
  image.loading = "lazy";
  image.alt = alt;
  image.src = address;
  const link = make("a", "", image);
  link.href = address;
  link.target = "_blank";
  image.addEventListener("error", () => link.replaceWith(make("code", "missing", "no picture at " + pathOf(link))));
  return link;
}

function pathOf({ href }) {
  return decodeURIComponent(new URL(href).pathname);
}

form.addEventListener("input", search);
form.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", () => {
  const from = list.childElementCount;
  showMore();
  list.children[from]?.querySelector("summary").focus();
});
form.hidden = false;
search();
`;
