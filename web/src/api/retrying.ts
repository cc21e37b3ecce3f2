import { ApiError } from './problems'

export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal?.addEventListener('abort', done)
  })
}

/** Half a second, one, two … up to `most`, spread so that tabs do not come in step. */
export function backoff(attempt: number, most: number): number {
  return Math.min(most, 500 * 2 ** attempt) * (0.75 + Math.random() / 2)
}

export function mayTryAgain(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 503)
}

/** Try `work` once and up to three times more while the server is away or busy. */
export async function withRetries<T>(work: () => Promise<T>, again = 3): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt >= again || !mayTryAgain(error)) throw error
      const asked = error instanceof ApiError && error.retryAfter !== null ? error.retryAfter * 1000 : 0
      await pause(Math.max(Math.min(asked, 5000), backoff(attempt, 4000)))
    }
  }
}
