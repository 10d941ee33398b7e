import { seededRandom, type Random } from "../random.ts";

/** How the next token is chosen. */
export interface SamplingOptions {
  /** Above 1, tokens that occurred before (prompt included) become less likely. */
  readonly repetitionPenalty: number;
  /** 0 takes the likeliest token; above 0, logits are divided by it and a token is drawn. */
  readonly temperature: number;
  /** Draws only among the likeliest tokens up to this total probability. */
  readonly topP: number;
  /** Seed of the draws; each item draws from its own stream, whatever else is in the batch. */
  readonly seed: number;
}

/** Chooses one item's tokens: greedy or drawn, after a repetition penalty over prompt and output. */
export class Sampler {
  readonly #options: SamplingOptions;
  readonly #seen: Set<number>;
  readonly #random: Random;

  constructor(options: SamplingOptions, promptIds: Iterable<number>) {
    this.#options = options;
    this.#seen = new Set(promptIds);
    this.#random = seededRandom(options.seed);
  }

  /**
   * The next token; it counts as seen from then on.
   * @param logits `[vocab]`, changed in place
   */
  next(logits: Float32Array): number {
    this.#penalize(logits);
    const { temperature, topP } = this.#options;
    const id = temperature === 0 ? greatest(logits) : draw(logits, temperature, topP, this.#random());
    this.#seen.add(id);
    return id;
  }

  /** Keskar et al. 2019, arXiv:1909.05858: positive logits are divided, negative ones multiplied, once per token. */
  #penalize(logits: Float32Array): void {
    const { repetitionPenalty } = this.#options;
    if (repetitionPenalty === 1) return;
    for (const id of this.#seen) {
      const logit = logits[id]!;
      logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
  }
}

/** Index of the greatest entry, the first of equals. */
function greatest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Nucleus sampling. Holtzman et al. 2019, arXiv:1904.09751. `uniform` in [0, 1) picks the token. */
function draw(logits: Float32Array, temperature: number, topP: number, uniform: number): number {
  const top = logits[greatest(logits)]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - top) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const ids = topP === 1 ? weights.keys() : nucleus(weights, total, topP);
  const kept = [...ids];
  let rest = uniform * kept.reduce((sum, id) => sum + weights[id]!, 0);
  for (const id of kept) {
    rest -= weights[id]!;
    if (rest < 0) return id;
  }
  return kept.at(-1)!;
}

/** The fewest tokens, likeliest first, whose weights reach `topP` of `total`; never none. */
function nucleus(weights: Float64Array, total: number, topP: number): number[] {
  // Tokens below this cannot make up the rest even all together, so only the others need sorting.
  const floor = ((1 - topP) * total) / weights.length;
  const candidates: number[] = [];
  for (let id = 0; id < weights.length; id++) if (weights[id]! >= floor) candidates.push(id);
  candidates.sort((a, b) => weights[b]! - weights[a]! || a - b);
  let mass = 0;
  let count = 0;
  while (count < candidates.length && (count === 0 || mass < topP * total)) mass += weights[candidates[count++]!]!;
  return candidates.slice(0, count);
}
