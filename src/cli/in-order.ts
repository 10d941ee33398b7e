/**
 * Starts work on values as they arrive and yields its results in their order, each as soon as it and all before it are
 * there: a source that pauses does not hold results back.
 * @param start must not reject; what fails is part of its result
 * @param ahead most values at work or waiting to be yielded
 */
export async function* inOrder<T, R>(
  source: AsyncIterable<T>,
  start: (value: T) => Promise<R>,
  ahead: number,
): AsyncGenerator<R, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const working: Promise<R>[] = [];
  let arriving: Promise<IteratorResult<T>> | undefined = iterator.next();
  try {
    while (arriving !== undefined || working.length > 0) {
      const first = working[0];
      if (arriving !== undefined && working.length < ahead) {
        const arrived: IteratorResult<T> | undefined = await (first === undefined
          ? arriving
          : Promise.race([arriving, first.then(() => undefined)]));
        if (arrived !== undefined) {
          if (!arrived.done) working.push(start(arrived.value));
          arriving = arrived.done ? undefined : iterator.next();
          continue;
        }
      }
      yield await working.shift()!;
    }
  } finally {
    // Not awaited: the source may be waiting for input that never comes. Whoever stops early closes it.
    arriving?.catch(() => {});
    if (arriving !== undefined) iterator.return?.()?.catch(() => {});
  }
}
