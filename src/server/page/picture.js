/** The picture of the query: dropped, pasted, or chosen. */

const byId = (id) => document.getElementById(id);
/** What a request's body leaves room for. */
const MAX_BYTES = 16 * 2 ** 20;

/** Holds the picture as a data: URL. */
export class QueryPicture {
  /** @type {string | undefined} */
  dataUrl;
  #tell;

  /** @param {(problem: string) => void} onProblem */
  constructor(onProblem) {
    this.#tell = onProblem;
    const [drop, file] = [byId("drop"), byId("file")];
    byId("choose").addEventListener("click", () => file.click());
    byId("remove").addEventListener("click", () => {
      this.set(undefined);
      byId("choose").focus();
    });
    file.addEventListener("change", () => {
      void this.take(file.files[0]);
      file.value = "";
    });
    for (const name of ["dragover", "dragleave", "drop"])
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", name === "dragover");
        if (name === "drop") void this.take([...event.dataTransfer.files].find(isPicture));
      });
    document.addEventListener("paste", (event) => {
      const found = [...event.clipboardData.files].find(isPicture);
      if (found === undefined) return;
      event.preventDefault();
      void this.take(found);
    });
  }

  /** @param {Blob | undefined} blob */
  async take(blob) {
    if (blob === undefined) return;
    if (blob.size > MAX_BYTES) return this.#tell(`The picture has ${blob.size} bytes; ${MAX_BYTES} are taken.`);
    try {
      this.set(await dataUrlOf(blob));
    } catch {
      this.#tell("The picture cannot be read.");
    }
  }

  /** @param {string | undefined} dataUrl */
  set(dataUrl) {
    this.dataUrl = dataUrl;
    const picture = byId("picture");
    picture.hidden = dataUrl === undefined;
    if (dataUrl === undefined) picture.removeAttribute("src");
    else picture.src = dataUrl;
    byId("remove").hidden = dataUrl === undefined;
    byId("choose").hidden = dataUrl !== undefined;
  }
}

/** @param {Blob} blob @returns {Promise<string>} */
function dataUrlOf(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

function isPicture({ type }) {
  return type.startsWith("image/");
}
