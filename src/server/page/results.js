/** Results as cards. */
import { pictureUrl } from "./api.js";

const THUMBNAIL_PIXELS = 320;

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {(Node | string)[]} [children]
 */
export function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/**
 * Shows rankings beside each other.
 * @param {HTMLElement} place
 * @param {{ title: string, hits: any[] }[]} rankings
 * @param {(hit: any) => void} onOpen
 */
export function showResults(place, rankings, onOpen) {
  place.classList.toggle("two", rankings.length > 1);
  place.replaceChildren(
    ...rankings.map(({ title, hits }) => {
      const cards = hits.map((hit) => element("li", {}, [card(hit, onOpen)]));
      const list = element("ol", { className: "list" }, cards);
      list.addEventListener("keydown", moveFocus);
      const heading = rankings.length > 1 ? [element("h2", { textContent: title })] : [];
      return element("section", { ariaLabel: title }, [...heading, list]);
    }),
  );
}

/** What an item is called: its caption's first line. @param {any} item @returns {string} */
export function titleOf({ text, id }) {
  return text.split("\n", 1)[0] || id;
}

function card(hit, onOpen) {
  const { item, score, chance } = hit;
  const name = titleOf(item);
  const image = element("img", { alt: "", loading: "lazy" });
  if (item.image !== null)
    pictureUrl(`${item.image}?size=${THUMBNAIL_PIXELS}`).then(
      (url) => (image.src = url),
      () => (image.alt = "The picture is not there any more"),
    );
  const said = chance === undefined ? score.toFixed(3) : `${Math.round(100 * chance)}% likely · ${score.toFixed(3)}`;
  const width = `${Math.round(100 * Math.max(0, Math.min(1, chance ?? score)))}%`;
  const fill = element("span");
  fill.style.width = width;
  const button = element("button", { type: "button", className: "card", ariaLabel: `${name}, ${said}` }, [
    element("span", { className: "frame" }, item.image === null ? ["“”"] : [image]),
    element("span", { className: "caption", textContent: name }),
    element("span", { className: "score" }, [said, element("span", { className: "bar" }, [fill])]),
  ]);
  button.addEventListener("click", () => onOpen(hit));
  return button;
}

/** Arrow keys go from card to card. @param {KeyboardEvent} event */
function moveFocus(event) {
  const cards = [...event.currentTarget.querySelectorAll(".card")];
  const at = cards.indexOf(document.activeElement);
  const top = cards[0]?.offsetTop;
  const columns = Math.max(1, cards.filter((it) => it.offsetTop === top).length);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  const step = steps[event.key];
  if (step === undefined || at < 0) return;
  event.preventDefault();
  cards[Math.max(0, Math.min(cards.length - 1, at + step))].focus();
}
