/** The learning rate over a run. */

/** How the rate rises and falls. */
export interface Schedule {
  readonly peak: number;
  /** Updates over which it rises. */
  readonly warmupSteps: number;
  /** Updates in all; the last one is `totalSteps - 1`, one step of the decay above `final`. */
  readonly totalSteps: number;
  readonly decay: "cosine" | "linear" | "constant";
  /** Share of the peak that is left after `totalSteps`; a constant rate stays at the peak whatever this says. */
  readonly final: number;
}

/**
 * The rate of update `step`, counted from 0. As transformers' get_linear_schedule_with_warmup and
 * get_cosine_schedule_with_warmup with a floor of `final`, but for the warm-up: there the first update has a rate of 0
 * and changes nothing; here update `k` of `n` has `(k + 1) / n` of the peak, so that two updates have the peak itself,
 * the last of the warm-up and the first after it. Past `totalSteps` the rate stays as it is there.
 */
export function learningRate({ peak, warmupSteps, totalSteps, decay, final }: Schedule, step: number): number {
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  const left = { cosine: (1 + Math.cos(Math.PI * progress)) / 2, linear: 1 - progress, constant: 1 }[decay];
  return peak * (final + (1 - final) * left);
}
