/** Retrieval: caption to image, image to caption, image with described changes to image, image and text to image. */
import { describeEnd, sampleChain, walk } from "../chains.ts";
import { changedLook, changeScene, differentChanges, type Aspect, type Change } from "../changes.ts";
import { pick, pickSome, redrawn, type SceneKind } from "../sample.ts";
import { about, answer, wholePicture, type Example, type ExampleSide, type Source } from "../task.ts";
import { account, caption, fullName, placeOf, shortName, lookFor } from "../wording.ts";
import { BACKGROUNDS, PLACES, splitOf, type Background, type Look, type Scene } from "../world.ts";
import { PLAIN } from "./classification.ts";

const FEW: SceneKind = { count: [2, 4] };
const HARD_PICTURES = 5;
const HARD_TEXTS = 6;
const ASPECTS: readonly Aspect[] = ["colour", "shape", "size", "fill", "place", "background"];

/** A caption finds its picture. */
export function captionToImage(source: Source): Example | undefined {
  const { scene, random, novel } = source;
  const picture = scene(FEW);
  const hard = oneChanged(picture, source);
  const text = caption(picture, pickSome(picture.objects, 9, random), random);
  const question = novel
    ? `Find an image of this caption: ${text}.`
    : pick(
        [
          `Find an image that matches the caption: ${text}.`,
          `Which image fits this caption: ${text}?`,
          `Find the picture of the caption: ${text}.`,
          `In which picture is there: ${text}?`,
        ],
        random,
      );
  return (
    hard && {
      query: answer(question),
      gold: wholePicture(redrawn(picture, random)),
      hard: hard.map(wholePicture),
      rationale: account(picture),
    }
  );
}

/** A picture finds its caption. */
export function imageToCaption(source: Source): Example | undefined {
  const { scene, random } = source;
  const picture = scene(FEW);
  const captionOf = (it: Scene): ExampleSide => answer(caption(it, pickSome(it.objects, 9, random), random));
  const hard = oneChanged(picture, source, HARD_TEXTS);
  return (
    hard && {
      query: about(
        picture,
        pick(
          [
            "Find a caption for the image.",
            "Which caption describes the image?",
            "What is the caption of this picture?",
            "Find the caption that matches this image.",
          ],
          random,
        ),
      ),
      gold: captionOf(picture),
      hard: hard.map(captionOf),
      rationale: account(picture),
    }
  );
}

/** A picture and changes to it find the changed picture. */
export function described(counts: readonly number[]) {
  return (source: Source): Example | undefined => {
    const { scene, random, split, novel } = source;
    const before = scene(FEW);
    const changes: Change[] = [];
    const aspects = pickSome(ASPECTS, pick(counts, random), random);
    let now: Scene = before;
    for (const aspect of aspects) {
      // One object is changed in one thing only: "make the red circle blue" names it as it was.
      const change = changeScene(
        now,
        aspect,
        { split, novel },
        random,
        changes.map(({ after }) => after.cell),
      );
      if (change === undefined) return undefined;
      changes.push(change);
      now = change.scene;
    }
    const hard = oneChanged(now, source, HARD_PICTURES - 1);
    if (hard === undefined) return undefined;
    const wanted = pickSome(changes.map(wordsOf), 9, random).join(" and ");
    const question = pick(
      [
        `Find this image with changes: ${wanted}.`,
        `Find the image after you ${wanted}.`,
        `Which image is this picture after you ${wanted}?`,
        `In this picture, ${wanted}, then find the image.`,
      ],
      random,
    );
    return {
      query: about(before, question),
      gold: wholePicture(now),
      // The picture as it was is the mistake of who does not read.
      hard: [hard[0]!, redrawn(before, random), ...hard.slice(1)].map(wholePicture),
      rationale: account(now),
    };
  };
}

/** A picture and a way through it find a picture of what stands at its end. */
export function reached(source: Source): Example | undefined {
  const { scene, random, split, novel } = source;
  const picture = scene(PLAIN);
  const chain = sampleChain(picture, pick([1, 2], random), false, random);
  if (chain === undefined) return undefined;
  const end = chain.objects.at(-1)!;
  const alone = (look: Look, background: Background): Scene | undefined => {
    const contents = pickSome([...PLACES.keys()], PLACES.length, random).map((cell) => ({
      background,
      objects: [{ ...look, cell }],
    }));
    const content = contents.find((it) => splitOf(it) === split);
    return content && redrawn(content, random);
  };
  const background = pick(BACKGROUNDS, random);
  const gold = alone(end, background);
  if (gold === undefined) return undefined;
  const other = pick(
    picture.objects.filter((object) => object !== end),
    random,
  );
  const wrong = [
    alone(other, background),
    alone(changedLook(end, "colour", novel, random), background),
    alone(changedLook(end, "shape", novel, random), background),
    alone(changedLook(end, pick(["size", "fill"], random), novel, random), background),
    alone(
      end,
      pick(
        BACKGROUNDS.filter((it) => it !== background),
        random,
      ),
    ),
  ];
  const text = pick(
    [
      `Find an image of ${describeEnd(chain, "trained", random)}, alone on ${background}.`,
      `Which image shows ${describeEnd(chain, "trained", random)} alone on ${background}?`,
      `Find the picture that shows ${describeEnd(chain, "trained", random)}, alone on ${background}.`,
    ],
    random,
  );
  return {
    query: about(picture, text),
    gold: wholePicture(gold),
    hard: wrong.filter((it) => it !== undefined).map(wholePicture),
    rationale: `${walk(chain, random)} ${lookFor(`${fullName(end)} on ${background}`, random)}`,
  };
}

/** Scenes that differ from `scene` in one thing each, all different; `undefined` where there are too few. */
function oneChanged(scene: Scene, { split, novel, random }: Source, count = HARD_PICTURES): Scene[] | undefined {
  return differentChanges(scene, ASPECTS, count, { split, novel }, random)?.map((change) => change.scene);
}

/** `make the red circle blue`. */
function wordsOf({ scene, aspect, before, after }: Change): string {
  const name = `the ${shortName(before)}`;
  if (aspect === "background") return `make the background ${scene.background}`;
  if (aspect === "place") return `move ${name} to ${placeOf(after)}`;
  return `make ${name} ${aspect === "shape" ? `a ${after.shape}` : after[aspect]}`;
}
