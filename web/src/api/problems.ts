/** What the server refused, or that it could not be asked; `detail` is for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError'

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly retryable: boolean,
    readonly retryAfter: number | null = null,
    readonly reference: string | null = null,
    readonly generationId: string | null = null,
  ) {
    super(detail)
  }
}

/** The request got no answer: whether it was carried out is unknown, so it is sent again under its id. */
export function unreachable(): ApiError {
  return new ApiError(0, 'unreachable', 'The server is not answering.', true)
}

export function isUnreachable(error: unknown): boolean {
  return error instanceof ApiError && error.status === 0
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function inOwnWords(status: number): string {
  if (status === 429) return 'The server was asked too much for now.'
  return `The server answered with ${status}.`
}

/** Whether the same may succeed later, as far as a status alone says it. */
function isForNow(status: number): boolean {
  return status >= 500 || status === 408 || status === 429
}

/** The error an answer tells of, whether it is a problem document or a proxy's page. */
export async function problemOf(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {}
  try {
    const parsed: unknown = await response.json()
    if (typeof parsed === 'object' && parsed !== null) body = parsed as Record<string, unknown>
  } catch {
    // A gateway in between answers with a page of its own; the status is all there is.
  }
  const wait =
    typeof body.retry_after === 'number' ? body.retry_after : Number(response.headers.get('retry-after'))
  return new ApiError(
    response.status,
    text(body.code) ?? `http_${response.status}`,
    text(body.detail) ?? text(body.title) ?? inOwnWords(response.status),
    typeof body.retryable === 'boolean' ? body.retryable : isForNow(response.status),
    Number.isFinite(wait) && wait > 0 ? wait : null,
    text(body.reference),
    text(body.generation_id),
  )
}

/** The server is asked too much for now; `retryAfter` says for how long. */
export function isLimit(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 429
}

/** What to show a person for anything that was thrown. */
export function inWords(error: unknown): string {
  if (error instanceof ApiError) return error.detail
  return error instanceof Error ? error.message : 'Something went wrong.'
}

/** What finds the cause in the server's log; null where no server said it. */
export function referenceOf(error: unknown): string | null {
  return error instanceof ApiError ? error.reference : null
}
