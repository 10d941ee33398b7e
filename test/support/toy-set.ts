/** A toy training set of plain pictures with known colours, in MMEB-train's fields. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { seededRandom, type Random } from "../../src/random.ts";

/** Red, green and blue of each colour that a picture can have. */
const COLOURS = {
  red: [220, 30, 30],
  green: [30, 180, 50],
  blue: [40, 60, 220],
  yellow: [240, 220, 40],
  purple: [150, 40, 180],
  orange: [250, 140, 20],
  white: [245, 245, 245],
  black: [15, 15, 15],
} as const;
type Colour = keyof typeof COLOURS;

/** Side of a picture: four tokens of a model with patches of 14 pixels. */
const SIDE = 56;

/**
 * Writes `train.jsonl`, `valid.jsonl` and pictures into `folder`: two halves of different colours, asked for the upper
 * one or the lower one.
 */
export async function writeToySet(folder: string, { train, valid }: { train: number; valid: number }): Promise<void> {
  mkdirSync(join(folder, "images"), { recursive: true });
  const random = seededRandom(11);
  const names = Object.keys(COLOURS) as Colour[];
  const rows = async (count: number, kind: string): Promise<string> => {
    const lines: string[] = [];
    for (let i = 0; i < count; i++) {
      const upper = pick(names, random);
      const lower = pick(
        names.filter((name) => name !== upper),
        random,
      );
      const image = `images/${kind}-${i}.png`;
      await sharp(pixels(upper, lower, random), { raw: { width: SIDE, height: SIDE, channels: 3 } })
        .png()
        .toFile(join(folder, image));
      const asked = random() < 0.5 ? "upper" : "lower";
      const answer = asked === "upper" ? upper : lower;
      lines.push(
        JSON.stringify({
          qry: `<|image_1|>\nWhat is the ${asked} half?\n`,
          qry_image_path: image,
          pos_text: `${answer}\n`,
          pos_image_path: "",
          neg_text: "",
          neg_image_path: "",
          rationale: `The ${asked} half is ${answer}.`,
        }),
      );
    }
    return `${lines.join("\n")}\n`;
  };
  writeFileSync(join(folder, "train.jsonl"), await rows(train, "train"));
  writeFileSync(join(folder, "valid.jsonl"), await rows(valid, "valid"));
}

function pixels(upper: Colour, lower: Colour, random: Random): Buffer {
  const noise = (): number => Math.floor(random() * 16) - 8;
  const shades = [upper, lower].map((name) =>
    COLOURS[name].map((level) => Math.min(255, Math.max(0, level + noise()))),
  );
  const bytes = Buffer.alloc(SIDE * SIDE * 3);
  for (let i = 0; i < bytes.length; i++) bytes[i] = shades[i < bytes.length / 2 ? 0 : 1]![i % 3]!;
  return bytes;
}

function pick<T>(values: readonly T[], random: Random): T {
  return values[Math.floor(random() * values.length)]!;
}
