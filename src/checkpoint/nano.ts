/** The model that comes with the package. */
import { fileURLToPath } from "node:url";

/** The name that stands for it wherever a model is named; a folder of that name is `./nano`. */
export const NANO = "nano";

/** Its folder: two levels up both from src/checkpoint and from dist/checkpoint. */
export const NANO_FOLDER: string = fileURLToPath(new URL("../../models/nano", import.meta.url));
