/** One row in MMEB-train's fields, checked: a query, what it is to find, hard negatives, and a rationale. */
import { placeOf } from "./checked-row.ts";
import { ImageRoot } from "./image-root.ts";
import type { FileRow } from "./row-files.ts";
import { listOf, RowError, textOf } from "./row-text.ts";

/** A text, an image, or both. */
export interface TrainSide {
  readonly text: string;
  /** Absolute path; `undefined` where the row names none. */
  readonly image: string | undefined;
}

/** A row that can be trained on. */
export interface TrainRow {
  /** `train.jsonl, row 17`, for messages. */
  readonly place: string;
  readonly query: TrainSide;
  readonly target: TrainSide;
  readonly negatives: readonly TrainSide[];
  readonly rationale: string | undefined;
}

/** The fields that are read; others are left alone. */
export const TRAIN_FIELDS: readonly string[] = [
  "qry",
  "qry_image_path",
  "pos_text",
  "pos_image_path",
  "neg_text",
  "neg_image_path",
  "rationale",
];

/** Most hard negatives of one row. */
const MAX_NEGATIVES = 64;
/** A slot for an image, as MMEB or a chat template writes it. */
const SLOT = /<\|image_\d+\|>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>/g;

/** Checks the rows of a dataset whose image paths are relative to one folder. */
export class RowChecker {
  readonly #images: ImageRoot;

  /** @param imageRoot folder that image paths are relative to, and must not leave */
  constructor(imageRoot: string) {
    this.#images = new ImageRoot(imageRoot);
  }

  /**
   * What the row says.
   * @throws {RowError} a wrong type, a side without text and image, an image that is not there, something too long
   */
  async check(row: FileRow): Promise<TrainRow> {
    const { value, problem } = row;
    if (value === undefined) throw new RowError(problem ?? "internal: a row with neither a value nor a problem");
    const rationale = textOf("rationale", value["rationale"]).trim();
    return {
      place: placeOf(row),
      query: required(await this.#side(value, "qry", "qry_image_path"), "query", "qry"),
      target: required(await this.#side(value, "pos_text", "pos_image_path"), "target", "pos_text"),
      negatives: await this.#negatives(value),
      rationale: rationale === "" ? undefined : rationale,
    };
  }

  async #side(value: Readonly<Record<string, unknown>>, textField: string, imageField: string): Promise<TrainSide> {
    return await this.#read(textOf(textField, value[textField]), imageField, value[imageField]);
  }

  /** A text with the image that a path names. */
  async #read(text: string, imageField: string, imageName: unknown): Promise<TrainSide> {
    const image = await this.#images.find(imageField, imageName);
    // As RGE's training code does: slots beyond the images there are go, the line break after one stays.
    let slots = image === undefined ? 0 : 1;
    return { text: text.replace(SLOT, (slot) => (slots-- > 0 ? slot : "")), image };
  }

  async #negatives(value: Readonly<Record<string, unknown>>): Promise<TrainSide[]> {
    const [texts, images] = [listOf(value["neg_text"]), listOf(value["neg_image_path"])];
    const count = Math.max(texts.length, images.length);
    if (texts.length > 0 && images.length > 0 && texts.length !== images.length)
      throw new RowError(`${texts.length} neg_text and ${images.length} neg_image_path, expected as many`);
    if (count > MAX_NEGATIVES) throw new RowError(`${count} hard negatives, at most ${MAX_NEGATIVES} are taken`);
    const sides: TrainSide[] = [];
    for (let i = 0; i < count; i++)
      sides.push(await this.#read(textOf("neg_text", texts[i]), "neg_image_path", images[i]));
    // MMEB writes "no negative" as an empty text, in a list as well.
    return sides.filter((side) => !isEmpty(side));
  }
}

/** Whether a row names nothing there. */
function isEmpty({ text, image }: TrainSide): boolean {
  return image === undefined && text.trim() === "";
}

function required(side: TrainSide, what: string, textField: string): TrainSide {
  if (!isEmpty(side)) return side;
  const imageField = textField.replace("_text", "").concat("_image_path");
  throw new RowError(`the ${what} has neither text (${textField}) nor image (${imageField})`);
}
