/**
 * Rules that come along, in our own words: queries name what is to be found, targets ask for one word. A checkpoint's
 * published numbers need the wording that it was trained with, from its authors' files.
 */
import { MMEB } from "./mmeb.ts";
import { ruleSet, type RuleSet, type TextRule } from "./rules.ts";

/** What MMEB's texts say, and what takes its place. */
function swap(original: string, replacement: string): TextRule {
  return { original, replacement };
}

function all(datasets: readonly string[], rule: TextRule): [string, TextRule][] {
  return datasets.map((dataset) => [dataset, rule]);
}

function label(kind: string): TextRule {
  return { prefix: `In one word, this ${kind}: ` };
}

const IMAGENET = ["ImageNet-1K", "ImageNet-A", "ImageNet-R"];
const REPRESENT = "Represent the given image for classification";
const MAIN_OBJECT = "Name the category of the image's main object";
const QUESTION = "Represent the given image with the following question:";
const EXPRESSION = "Select the portion of the image that follows the language expressions";
const CROP = "Represent the given cropped image of the object";
const CROP_IN_A_WORD = "In one word, the object of this crop";

/** Of queries. */
export const DEFAULT_QUERY_RULES: RuleSet = ruleSet(
  "default",
  new Map([
    ...all(IMAGENET, swap(REPRESENT, MAIN_OBJECT)),
    ...all(["VOC2007", "ObjectNet"], swap("Identify the object shown in the image", MAIN_OBJECT)),
    ["SUN397", swap("Identify the scene shown in the image", "Name the kind of scene in the image")],
    ["Place365", swap("Identify the scene shown in the image", "Name the kind of scene in the image")],
    ["Country211", swap("Identify the country depicted in the image", "Name the country where the image was taken")],
    [
      "N24News",
      swap(
        "Represent the given news image with the following caption for domain classification",
        "Name the section of a newspaper that this image and its caption belong to",
      ),
    ],
    [
      "HatefulMemes",
      swap(
        "Represent the given image for binary classification to determine whether it constitutes hateful speech or not",
        "Say whether this image with its words is hateful or not",
      ),
    ],
    ...all(
      ["OK-VQA", "A-OKVQA", "Visual7W", "VizWiz", "GQA", "TextVQA"],
      swap(QUESTION, "Answer this question about the image:"),
    ),
    ["ChartQA", swap(QUESTION, "Answer this question from the chart:")],
    ["DocVQA", swap(QUESTION, "Answer this question from the document:")],
    ["InfographicsVQA", swap(QUESTION, "Answer this question from the infographic:")],
    ["ScienceQA", swap(QUESTION, "Answer this science question with the image:")],
    [
      "VisDial",
      swap(
        "Represent the given dialogue about an image, which is used for image retrieval",
        "Describe the image that this dialogue is about",
      ),
    ],
    [
      "CIRR",
      swap(
        "Given an image, find a similar everyday image with the described changes",
        "Describe the image that this one becomes by these changes",
      ),
    ],
    [
      "FashionIQ",
      swap(
        "Find an image to match the fashion image and style note",
        "Describe the garment that this one becomes by this note",
      ),
    ],
    ["VisualNews_t2i", swap("Retrieve an image of this news caption", "Describe the news photo of this caption")],
    [
      "VisualNews_i2t",
      swap("Find a caption for the news in the given photo", "Describe the news that this photo shows"),
    ],
    [
      "MSCOCO_t2i",
      swap(
        "Find me an everyday image that matches the given caption",
        "Describe the everyday image that this caption tells of",
      ),
    ],
    [
      "MSCOCO_i2t",
      swap("Find an image caption describing the given everyday image", "Describe this everyday image in a sentence"),
    ],
    [
      "NIGHTS",
      swap(
        "Find a day-to-day image that looks similar to the provided image",
        "Describe this everyday image so that one that looks like it is found",
      ),
    ],
    ["EDIS", swap("Find a news image that matches the provided caption", "Describe the news image of this caption")],
    [
      "WebQA",
      swap("Find a Wikipedia image that answers this question", "Answer this question for a picture of Wikipedia"),
    ],
    [
      "OVEN",
      swap(
        "Retrieve a Wikipedia image-description pair that provides evidence for the question of this image",
        "Answer this question about the image, for a picture of Wikipedia with its description",
      ),
    ],
    [
      "Wiki-SS-NQ",
      swap("Find the document image that can answer the given query", "Answer this question for the page that says so"),
    ],
    // The doubled word is the data's own.
    ["MSCOCO", swap("Crop the image to to isolate the object labeled as", "Describe the object of the image labeled")],
    [
      "Visual7W-Pointing",
      swap(
        "Select the portion of the image that answers the question",
        "Describe the object that answers the question",
      ),
    ],
    ...all(["RefCOCO", "RefCOCO-Matching"], swap(EXPRESSION, "Describe the object of the image that is meant by")),
  ]),
);

/** Of targets. */
export const DEFAULT_TARGET_RULES: RuleSet = ruleSet(
  "default",
  new Map([
    ...all([...IMAGENET, "VOC2007", "ObjectNet"], label("kind of object")),
    ...all(["SUN397", "Place365"], label("kind of scene")),
    ["Country211", label("country")],
    ["N24News", label("section of a newspaper")],
    [
      "HatefulMemes",
      {
        valueMap: new Map([
          ["Yes", "In one word, this statement: Yes, it is hateful."],
          ["No", "In one word, this statement: No, it is not hateful."],
        ]),
      },
    ],
    ...all(
      MMEB.filter(({ metaTask }) => metaTask === "vqa").map(({ name }) => name),
      label("answer"),
    ),
    ["VisualNews_i2t", label("news caption")],
    ["MSCOCO_i2t", label("sentence")],
    ...all(
      ["VisDial", "CIRR", "VisualNews_t2i", "MSCOCO_t2i", "NIGHTS", "FashionIQ", "Wiki-SS-NQ"],
      swap("Represent the given image", "In one word, this image"),
    ),
    ...all(
      ["WebQA", "OVEN"],
      swap(
        "Represent the given Wikipedia image with related text information",
        "In one word, this picture of Wikipedia with its text",
      ),
    ),
    [
      "EDIS",
      swap("Represent the given image with related text information", "In one word, this news image with its text"),
    ],
    ...all(["MSCOCO", "Visual7W-Pointing", "RefCOCO"], swap(CROP, CROP_IN_A_WORD)),
    ["RefCOCO-Matching", swap(EXPRESSION, "Describe the object of the image that is meant by")],
  ]),
);
