/** The learning rate over a run. */

/** How the rate rises and falls. */
export interface Schedule {
  readonly peak: number;
  /** Updates over which it rises. */
  readonly warmupSteps: number;
  readonly totalSteps: number;
  readonly decay: "cosine" | "linear" | "constant";
  /** Share of the peak that is left at the end. */
  readonly final: number;
}

/**
 * The rate of update `step`, counted from 0. As transformers' schedules, but for the warm-up: there the first update has
 * a rate of 0 and changes nothing; here update `k` of `n` has `(k + 1) / n` of the peak.
 */
export function learningRate({ peak, warmupSteps, totalSteps, decay, final }: Schedule, step: number): number {
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  const left = { cosine: (1 + Math.cos(Math.PI * progress)) / 2, linear: 1 - progress, constant: 1 }[decay];
  return peak * (final + (1 - final) * left);
}
