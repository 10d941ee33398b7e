/** AdamW, clipping, averages: small graphs over stretches of flat arrays, whatever model the arrays belong to. */
import { add, cast, div, Graph, mul, reduceSum, scalar, serialize, sqrt, sub, type Tensor } from "../graph/index.ts";
import { floats, type Feeds, type HostTensor } from "../host-tensor.ts";
import { Session, type SessionOptions } from "../runtime/session.ts";
import type { TrainedWeights } from "./parameters.ts";

/** AdamW's constants. Loshchilov & Hutter 2019, arXiv:1711.05101, with the bias corrections of PyTorch. */
export interface AdamW {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

/** Elements per run: a quarter megabyte per array, so that every pass but the first finds its operands in the cache. */
const CHUNK = 1 << 16;

/** What the optimizer keeps of its past; all of a resumed run that is not weights. */
export interface OptimizerState {
  /** Updates made. */
  step: number;
  /** First moments, laid out as the weights. */
  readonly m: Float32Array;
  /** Second moments. */
  readonly v: Float32Array;
  /** Averaged weights, where they are kept. */
  readonly ema: Float32Array | undefined;
}

/** Updates the trained weights in place. */
export class Optimizer implements AsyncDisposable {
  readonly state: OptimizerState;
  readonly #trained: TrainedWeights;
  readonly #constants: AdamW;
  readonly #emaDecay: number | undefined;
  readonly #sessions: { readonly update: Session; readonly square: Session; readonly add: Session };

  private constructor(
    trained: TrainedWeights,
    constants: AdamW,
    emaDecay: number | undefined,
    sessions: { update: Session; square: Session; add: Session },
  ) {
    this.#trained = trained;
    this.#constants = constants;
    this.#emaDecay = emaDecay;
    this.#sessions = sessions;
    const ema = emaDecay === undefined ? undefined : trained.weights.slice();
    this.state = { step: 0, m: trained.zeros(), v: trained.zeros(), ema };
  }

  /** @param emaDecay keeps an average of the weights with this decay; `undefined` keeps none */
  static async open(
    trained: TrainedWeights,
    constants: AdamW,
    emaDecay: number | undefined,
    options: SessionOptions,
  ): Promise<Optimizer> {
    await using stack = new AsyncDisposableStack();
    const open = async (graph: Graph): Promise<Session> =>
      stack.use(await Session.open(serialize(graph), graph.name, options));
    const sessions = {
      update: await open(updateGraph(constants, emaDecay)),
      square: await open(squareGraph()),
      add: await open(addGraph()),
    };
    const optimizer = new Optimizer(trained, constants, emaDecay, sessions);
    const owned = stack.move();
    optimizer[Symbol.asyncDispose] = () => owned.disposeAsync();
    return optimizer;
  }

  /** `total += addend`, both flat. */
  async accumulate(total: Float32Array, addend: Float32Array): Promise<void> {
    for (const { begin, end } of this.#chunks()) {
      const [a, b] = [vector(total, begin, end), vector(addend, begin, end)];
      await this.#sessions.add.run({ a, b }, [], { sum: a });
    }
  }

  /** L2 norm of a flat array; not finite where an entry is not. */
  async norm(flat: Float32Array): Promise<number> {
    let sum = 0;
    for (const { begin, end } of this.#chunks()) {
      const { square } = await this.#sessions.square.run({ x: vector(flat, begin, end) }, ["square"]);
      sum += (square.data as Float64Array)[0]!;
    }
    return Math.sqrt(sum);
  }

  /**
   * One update.
   * @param gradients flat, of the layout of the weights
   * @param scale factor of the gradients, from clipping
   */
  async update(gradients: Float32Array, learningRate: number, scale: number): Promise<void> {
    const { state } = this;
    const { beta1, beta2, weightDecay } = this.#constants;
    const step = state.step + 1;
    const scalars = {
      scale: number(scale),
      rate: number(learningRate / (1 - beta1 ** step)),
      correction: number(1 / Math.sqrt(1 - beta2 ** step)),
    };
    for (const { begin, end, decays } of this.#chunks()) {
      const [p, m, v] = [this.#trained.weights, state.m, state.v].map((flat) => vector(flat, begin, end));
      const feeds: Record<string, HostTensor> = {
        ...scalars,
        keep: number(decays ? 1 - learningRate * weightDecay : 1),
        g: vector(gradients, begin, end),
        p: p!,
        m: m!,
        v: v!,
      };
      const into: Record<string, HostTensor> = { p_next: p!, m_next: m!, v_next: v! };
      if (state.ema !== undefined) {
        const ema = vector(state.ema, begin, end);
        // Young averages forget faster, or they would remember the start for ever (as in timm and diffusers).
        const decay = Math.min(this.#emaDecay!, step / (step + 9));
        Object.assign(feeds, { ema, ema_decay: number(decay) });
        into["ema_next"] = ema;
      }
      await this.#sessions.update.run(feeds, [], into);
    }
    state.step = step;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Stretches cut into pieces that fit the cache. */
  *#chunks(): Generator<{ begin: number; end: number; decays: boolean }> {
    for (const { begin, end, decays } of this.#trained.stretches)
      for (let at = begin; at < end; at += CHUNK) yield { begin: at, end: Math.min(end, at + CHUNK), decays };
  }
}

/** The factor that brings a gradient of this norm down to `maxNorm`, as `torch.nn.utils.clip_grad_norm_` has it. */
export function clipScale(norm: number, maxNorm: number | undefined): number {
  return maxNorm === undefined ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
}

/** `p' = keep p - rate m' / (sqrt(v') correction + eps)`, with both corrections of the biases in the scalars. */
function updateGraph({ beta1, beta2, eps }: AdamW, emaDecay: number | undefined): Graph {
  const graph = new Graph("adamw");
  const flat = (name: string): Tensor => graph.input(name, "float32", ["n"]);
  const one = (name: string): Tensor => graph.input(name, "float32", []);
  const [p, m, v] = [flat("p"), flat("m"), flat("v")];
  const g = mul(flat("g"), one("scale"));
  const mNext = add(mul(m, scalar(m, beta1)), mul(g, scalar(g, 1 - beta1)));
  const vNext = add(mul(v, scalar(v, beta2)), mul(mul(g, scalar(g, 1 - beta2)), g));
  const root = add(mul(sqrt(vNext), one("correction")), scalar(v, eps));
  const pNext = sub(mul(p, one("keep")), div(mul(mNext, one("rate")), root));
  graph.output("m_next", mNext);
  graph.output("v_next", vNext);
  graph.output("p_next", pNext);
  if (emaDecay !== undefined) {
    const [ema, decay] = [flat("ema"), one("ema_decay")];
    graph.output("ema_next", add(pNext, mul(sub(ema, pNext), decay)));
  }
  return graph;
}

function squareGraph(): Graph {
  const graph = new Graph("square");
  const x = graph.input("x", "float32", ["n"]);
  // Summed in double: a long sum in float32 was off by 1e-5 of the norm.
  graph.output("square", reduceSum(cast(mul(x, x), "float64"), [0], false));
  return graph;
}

function addGraph(): Graph {
  const graph = new Graph("add");
  graph.output("sum", add(graph.input("a", "float32", ["n"]), graph.input("b", "float32", ["n"])));
  return graph;
}

function vector(flat: Float32Array, begin: number, end: number): HostTensor {
  return floats(flat.subarray(begin, end), [end - begin]);
}

function number(value: number): Feeds[string] {
  return floats(Float32Array.of(value), []);
}
