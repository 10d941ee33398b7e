/** What Prometheus is told. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { WorkQueue } from "./work-queue.ts";

/** Counters of one server. */
export class Metrics {
  readonly registry: Registry = new Registry();
  readonly #requests: Counter<"route" | "method" | "status">;
  readonly #seconds: Histogram<"route">;
  readonly #items: Counter;
  readonly #tokens: Counter;

  constructor(queue: WorkQueue) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Counter({
      name: "rge_requests_total",
      help: "Requests answered.",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "rge_request_seconds",
      help: "Time to answer a request.",
      labelNames: ["route"],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30, 100],
      registers,
    });
    this.#items = new Counter({ name: "rge_items_embedded_total", help: "Items embedded.", registers });
    this.#tokens = new Counter({
      name: "rge_rationale_tokens_total",
      help: "Tokens of rationales written.",
      registers,
    });
    const underWay: Gauge = new Gauge({
      name: "rge_items_under_way",
      help: "Items waiting or being embedded.",
      registers,
      collect: () => underWay.set(queue.items),
    });
  }

  answered(route: string, method: string, status: number, seconds: number): void {
    this.#requests.inc({ route, method, status });
    this.#seconds.observe({ route }, seconds);
  }

  embedded(rationaleTokens: number): void {
    this.#items.inc();
    this.#tokens.inc(rationaleTokens);
  }
}
