/**
 * Starts work on values as they arrive and yields its results in their order, each as soon as it and all before it are
 * there: a source that pauses does not hold results back.
 * @param start must not reject; what fails is part of its result
 * @param ahead most values at work or waiting to be yielded
 * @param signal ends the wait for values and results
 * @throws the reason of `signal`, and whatever `source` throws
 */
export async function* inOrder<T, R>(
  source: AsyncIterable<T> | Iterable<T>,
  start: (value: T) => Promise<R>,
  ahead: number,
  signal?: AbortSignal,
): AsyncGenerator<R, void, void> {
  signal?.throwIfAborted();
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const next = async (): Promise<IteratorResult<T>> => await iterator.next();
  const stop = Promise.withResolvers<never>();
  stop.promise.catch(() => {});
  const abort = (): void => stop.reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const working: Promise<R>[] = [];
  let arriving: Promise<IteratorResult<T>> | undefined = next();
  try {
    while (arriving !== undefined || working.length > 0) {
      const first = working[0];
      if (arriving !== undefined && working.length < ahead) {
        const ready = first === undefined ? [] : [first.then(() => undefined)];
        const arrived: IteratorResult<T> | undefined = await Promise.race([arriving, stop.promise, ...ready]);
        if (arrived !== undefined) {
          if (arrived.done !== true) working.push(start(arrived.value));
          arriving = arrived.done === true ? undefined : next();
          continue;
        }
      }
      yield await Promise.race([working.shift()!, stop.promise]);
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // Not awaited: the source may be waiting for input that never comes. Whoever stops early closes it.
    if (arriving !== undefined) {
      arriving.catch(() => {});
      void Promise.resolve(iterator.return?.()).catch(() => {});
    }
  }
}
