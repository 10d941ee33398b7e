/** The page: asks a collection and shows what was found, and why. */
import { ApiError, askEvents, askJson, keepKey, pictureBlob, pictureUrl } from "./api.js";
import { QueryPicture } from "./picture.js";
import { element, showResults, titleOf } from "./results.js";

const byId = (id) => document.getElementById(id);
const LIMIT = 12;
const POLL_MS = 700;
/** MMEB's own, to begin with. */
const INSTRUCTIONS = [
  "Find me an everyday image that matches the given caption:",
  "Represent the given image with the following question:",
  "Find a day-to-day image that looks similar to the provided image.",
];

/** @type {any[]} */
let collections = [];
/** @type {AbortController | undefined} */
let running;
/** @type {any} */
let opened;
const picture = new QueryPicture((problem) => say(problem, true));

function current() {
  return collections.find(({ name }) => name === byId("collection").value);
}

/** @param {string} text @param {boolean} [isBad] */
function say(text, isBad = false) {
  byId("message").textContent = text;
  byId("message").classList.toggle("bad", isBad);
}

/** @param {unknown} error */
function sayError(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof ApiError && error.status === 401) {
    byId("key").showModal();
    return;
  }
  say(error instanceof Error ? error.message : String(error), true);
}

/** Listens with what takes time; a failure is said. @param {any} target @param {string} event @param {() => Promise<void>} act */
function listen(target, event, act) {
  target.addEventListener(event, () => void act().catch(sayError));
}

async function loadCollections() {
  const chosen = byId("collection").value || new URLSearchParams(location.search).get("collection");
  ({ data: collections } = await askJson("/v1/collections"));
  byId("collection").replaceChildren(
    ...collections.map(({ name }) => element("option", { value: name, textContent: name, selected: name === chosen })),
  );
  showCollection();
}

function showCollection() {
  const collection = current();
  byId("search").disabled = collection === undefined || !collection.searchable;
  if (collection === undefined) {
    byId("about").textContent = "";
    say("There is no collection yet. Index a folder: rge index FOLDER");
    return;
  }
  const { count, model, searchable, indexing, examples = [] } = collection;
  byId("about").textContent = `${count.toLocaleString()} items, embedded by ${model.split("/").at(-1)}`;
  if (!searchable) say(`This collection was embedded by another model than this server's. Index it anew.`, true);
  else if (count === 0 && indexing === undefined) say("This collection is empty.");
  showProgress(indexing);
  byId("examples").hidden = examples.length === 0;
  byId("examples").replaceChildren("Try: ", ...examples.map(exampleButton));
}

/** @param {{ text: string, picture: string | null }} example */
function exampleButton({ text, picture: path }) {
  const button = element("button", { type: "button", textContent: text });
  listen(button, "click", async () => {
    byId("text").value = text;
    byId("instruction").value = "";
    if (path === null) picture.set(undefined);
    else await picture.take(await pictureBlob(path));
    await search();
  });
  return button;
}

/** @param {any} indexing */
function showProgress(indexing) {
  byId("progress").hidden = indexing === undefined || (indexing.state === "done" && indexing.problems.length === 0);
  if (indexing === undefined) return;
  const { state, counts, seconds, problems, error, total } = indexing;
  const parts = [
    `${counts.seen.toLocaleString()}${total === undefined ? "" : ` of ${total.toLocaleString()}`} looked at`,
  ];
  for (const key of ["embedded", "unchanged", "moved", "removed", "failed"])
    if (counts[key] > 0) parts.push(`${counts[key].toLocaleString()} ${key}`);
  const said = {
    running: "Indexing",
    done: "Indexed",
    failed: `Indexing failed: ${error}`,
    stopped: "Indexing stopped",
  };
  byId("progress-text").textContent = `${said[state]}: ${parts.join(", ")}; ${Math.round(seconds)} s`;
  const bar = byId("progress-bar");
  bar.hidden = state !== "running";
  if (total === undefined) bar.removeAttribute("value");
  else Object.assign(bar, { max: total, value: counts.seen });
  byId("problems").hidden = problems.length === 0;
  byId("problems").querySelector("summary").textContent = `${problems.length} could not be indexed`;
  byId("problems")
    .querySelector("ul")
    .replaceChildren(...problems.map(({ place, reason }) => element("li", { textContent: `${place}: ${reason}` })));
}

async function poll() {
  const collection = current();
  if (collection?.indexing?.state === "running")
    try {
      Object.assign(collection, await askJson(`/v1/collections/${collection.name}`));
      showCollection();
      if (collection.indexing.state !== "running") await loadCollections();
    } catch (error) {
      sayError(error);
    }
  setTimeout(poll, POLL_MS);
}

async function search() {
  const text = byId("text").value.trim();
  const collection = current();
  if (collection === undefined) return;
  if (text === "" && picture.dataUrl === undefined) {
    say("Write a sentence or add a picture first.");
    byId("text").focus();
    return;
  }
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const mode = new FormData(byId("query")).get("mode");
  const instruction = byId("instruction").value.trim();
  const compare = byId("compare").checked;
  const body = { mode, compare, limit: LIMIT, stream: true };
  if (text !== "") body.text = text;
  if (picture.dataUrl !== undefined) body.image = picture.dataUrl;
  if (instruction !== "") body.instruction = instruction;
  say("Searching…");
  byId("results").replaceChildren();
  byId("rationale").textContent = "";
  byId("facts").textContent = "";
  byId("reason").hidden = true;
  const startMs = performance.now();
  try {
    for await (const { event, data } of askEvents(`/v1/collections/${collection.name}/search`, body, signal)) {
      if (event === "rationale") showRationale(data.text, true);
      else if (event === "error") throw new ApiError(500, data.error.message);
      else showAnswer(data, performance.now() - startMs);
    }
  } catch (error) {
    byId("rationale").classList.remove("writing");
    if (!signal.aborted) sayError(error);
  }
}

/** @param {string} text @param {boolean} isWriting */
function showRationale(text, isWriting) {
  byId("reason").hidden = text === "";
  byId("rationale").textContent = text;
  byId("rationale").classList.toggle("writing", isWriting);
}

/** @param {any} answer @param {number} ms */
function showAnswer({ hits, direct_hits, reasoned, rationale, rationale_tokens, finish, cached }, ms) {
  showRationale(rationale, false);
  const cut = finish === "budget" ? ", cut off" : "";
  byId("facts").textContent = reasoned ? `${rationale_tokens} tokens${cut}${cached ? ", remembered" : ""}` : "";
  const title = reasoned ? "With reasoning" : "Direct";
  const rankings = [{ title, hits }];
  if (byId("compare").checked && reasoned && direct_hits) rankings.push({ title: "Direct", hits: direct_hits });
  showResults(byId("results"), rankings, show);
  const how = reasoned ? "after reasoning" : "without reasoning";
  say(hits.length === 0 ? "Nothing was found." : `${hits.length} results ${how}, ${Math.round(ms)} ms`);
}

/** @param {any} hit */
function show(hit) {
  void open(hit);
}

/** @param {any} hit */
async function open({ item }) {
  opened = item;
  byId("detail-title").textContent = titleOf(item);
  const image = byId("detail-picture");
  image.hidden = item.image === null;
  byId("ask-with").hidden = item.image === null;
  byId("detail-metadata").replaceChildren(
    ...[["id", item.id], ...Object.entries(item.metadata)].flatMap(([key, value]) => [
      element("dt", { textContent: key }),
      element("dd", { textContent: String(value) }),
    ]),
  );
  byId("detail").showModal();
  if (item.image !== null)
    try {
      image.alt = titleOf(item);
      image.src = await pictureUrl(`${item.image}?size=1024`);
    } catch (error) {
      image.alt = error.message;
    }
}

byId("query").addEventListener("submit", (event) => {
  event.preventDefault();
  void search();
});
byId("text").addEventListener("keydown", (event) => {
  // Enter asks, as in a search box; with Shift it breaks the line.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void search();
});
document.addEventListener("keydown", (event) => {
  const isTyping = /^(?:INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    byId("text").focus();
  }
});
byId("collection").addEventListener("change", () => {
  byId("results").replaceChildren();
  byId("reason").hidden = true;
  say("");
  showCollection();
});
listen(byId("similar"), "click", async () => {
  byId("detail").close();
  byId("reason").hidden = true;
  const path = `/v1/collections/${current().name}/items/${encodeURIComponent(opened.id)}/similar?limit=${LIMIT}`;
  const { hits } = await askJson(path);
  showResults(byId("results"), [{ title: "More like this", hits }], show);
  say(`${hits.length} items like ${titleOf(opened)}`);
});
listen(byId("ask-with"), "click", async () => {
  byId("detail").close();
  await picture.take(await pictureBlob(opened.image));
  byId("text").focus();
});
byId("key").addEventListener("close", () => {
  keepKey(byId("key-value").value);
  byId("key-value").value = "";
  void start();
});

async function start() {
  try {
    await loadCollections();
  } catch (error) {
    sayError(error);
  }
}

byId("instructions").append(...INSTRUCTIONS.map((value) => element("option", { value })));
await start();
void poll();
