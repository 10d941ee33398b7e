/** A model's weights in memory, the trained ones end to end in one array, so that an optimizer sees plain vectors. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { floats, type Feeds, type HostTensor } from "../host-tensor.ts";
import type { TensorShapes } from "../nn/weights.ts";

/** A tensor of float32 weights. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What is trained, and whether it decays. */
export interface TrainedShape {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether weight decay pulls it towards zero. */
  readonly decays: boolean;
}

/** A stretch of the flat arrays, in elements. */
export interface Stretch {
  readonly begin: number;
  readonly end: number;
  readonly decays: boolean;
}

/** Trained weights and, for each, places of the same layout: gradients, moments, averages. */
export class TrainedWeights {
  /** In the order of the flat arrays: those that decay, then the others. */
  readonly shapes: readonly TrainedShape[];
  /** Stretches of equal treatment that make up the flat arrays. */
  readonly stretches: readonly Stretch[];
  readonly weights: Float32Array;
  readonly #places: ReadonlyMap<string, { begin: number; end: number }>;

  constructor(shapes: readonly TrainedShape[]) {
    this.shapes = [...shapes.filter(({ decays }) => decays), ...shapes.filter(({ decays }) => !decays)];
    const places = new Map<string, { begin: number; end: number }>();
    let at = 0;
    for (const { name, shape } of this.shapes) {
      const end = at + shape.reduce((product, dim) => product * dim, 1);
      places.set(name, { begin: at, end });
      at = end;
    }
    this.#places = places;
    const decayed = this.shapes.filter(({ decays }) => decays).at(-1);
    const boundary = decayed === undefined ? 0 : places.get(decayed.name)!.end;
    this.stretches = [
      { begin: 0, end: boundary, decays: true },
      { begin: boundary, end: at, decays: false },
    ].filter(({ begin, end }) => end > begin);
    this.weights = new Float32Array(at);
  }

  /** Elements in all. */
  get size(): number {
    return this.weights.length;
  }

  /** A flat array of zeros of this layout. */
  zeros(): Float32Array {
    return new Float32Array(this.size);
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** The part of `flat` that belongs to `name`. */
  part(flat: Float32Array, name: string): Float32Array {
    const { begin, end } = this.#places.get(name)!;
    return flat.subarray(begin, end);
  }

  /** Every trained tensor as a view on `flat`. */
  parts(flat: Float32Array): Parameter[] {
    return this.shapes.map(({ name, shape }) => ({ name, shape, data: this.part(flat, name) }));
  }
}

/** Every weight of a model: the trained ones and those that stay as they are. */
export class ModelWeights implements TensorShapes {
  readonly trained: TrainedWeights;
  readonly #feeds = new Map<string, HostTensor>();

  /**
   * Reads a checkpoint whole.
   * @param trained names of its tensors that are trained
   * @param added trained tensors that it lacks, such as a LoRA's factors
   */
  constructor(checkpoint: Checkpoint, trained: readonly TrainedShape[], added: readonly Parameter[]) {
    this.trained = new TrainedWeights(trained);
    const given = new Map(added.map((parameter) => [parameter.name, parameter.data]));
    for (const { name, shape } of this.trained.shapes) {
      const data = this.trained.part(this.trained.weights, name);
      data.set(given.get(name) ?? checkpoint.read(name));
      this.#feeds.set(name, floats(data, shape));
    }
    for (const name of checkpoint.names())
      if (!this.#feeds.has(name)) this.#feeds.set(name, floats(checkpoint.read(name), checkpoint.shape(name)));
  }

  has(name: string): boolean {
    return this.#feeds.has(name);
  }

  shape(name: string): readonly number[] {
    return this.#feeds.get(name)!.shape;
  }

  /** The numbers of a tensor as they are now; a view, not to be changed. */
  data(name: string): Float32Array {
    return this.#feeds.get(name)!.data as Float32Array;
  }

  /** Feeds of those of `names` that are weights here, with the shapes that the graph sees. */
  feeds(inputs: readonly { readonly name: string; readonly shape: readonly (number | string)[] }[]): Feeds {
    return Object.fromEntries(
      inputs.flatMap(({ name, shape }) => {
        const known = this.#feeds.get(name);
        // A convolution's kernel is seen as a matrix.
        return known === undefined ? [] : [[name, { data: known.data, shape: shape as readonly number[] }]];
      }),
    );
  }
}
