import { beforeEach, describe, expect, it, vi } from 'vitest'
import { api } from './client'
import { ApiError, isUnreachable } from './problems'
import { currentReach, noteReach } from './reach'

/** Answers every request with that; the requests that came. */
function answering(answer: (request: Request) => Response | Promise<Response>): Request[] {
  const asked: Request[] = []
  vi.stubGlobal(
    'fetch',
    vi.fn(async (request: Request, { signal }: RequestInit) => {
      asked.push(request.clone())
      return Promise.race([
        answer(request),
        new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
      ])
    }),
  )
  return asked
}

const json = (body: unknown, status = 200) => Response.json(body, { status })

async function thrownBy(asking: Promise<unknown>): Promise<ApiError> {
  const error = await asking.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ApiError)
  return error as ApiError
}

describe('a request', () => {
  beforeEach(() => noteReach('unknown'))

  it('names what it is about in its address, and carries what is asked for', async () => {
    const asked = answering(() => json({ message: { id: 'm' } }))
    await api.send('a/b', { id: 'm', content: 'Aye', parent_id: null })
    const [request] = asked
    expect(request?.method).toBe('POST')
    expect(request?.url).toBe(`${location.origin}/api/conversations/a%2Fb/messages`)
    expect(request?.headers.get('content-type')).toBe('application/json')
    expect(await request?.json()).toEqual({ id: 'm', content: 'Aye', parent_id: null })
    expect(currentReach()).toBe('here')
  })

  it('that changes something says that it is JSON even without a body, and one that reads does not', async () => {
    const asked = answering(() => json({}))
    await api.deleteConversation('c')
    await api.stop('g')
    await api.me()
    expect(asked.map(({ headers }) => headers.get('content-type'))).toEqual([
      'application/json',
      'application/json',
      null,
    ])
    expect(asked.every((each) => each.headers.get('accept') === 'application/json')).toBe(true)
    expect(asked.every((each) => each.cache === 'no-store')).toBe(true)
  })

  it('leaves out of its address what is not asked for', async () => {
    const asked = answering(() => json({ items: [], next: null }))
    await api.search({ q: 'a b&c', from: undefined, archived: false }, null)
    expect(asked[0]?.url.split('?')[1]).toBe('q=a%20b%26c&archived=false&limit=20')
  })

  it('is answered with nothing where there is nothing to say', async () => {
    answering(() => new Response(null, { status: 204 }))
    expect(await api.deleteForGood('c')).toBeUndefined()
    expect(currentReach()).toBe('here')
  })

  it('that is refused throws what the server says, and the server is there', async () => {
    const problem = {
      code: 'generation_running',
      detail: 'A reply is being written.',
      retryable: true,
      retry_after: 7,
      reference: 'ref-1',
      generation_id: 'g',
    }
    answering(() => json(problem, 409))
    const { status, code, detail, retryable, retryAfter, reference, generationId } = await thrownBy(
      api.regenerate('m', 'r'),
    )
    expect({ status, code, detail, retryable, retryAfter, reference, generationId }).toEqual({
      status: 409,
      code: 'generation_running',
      detail: 'A reply is being written.',
      retryable: true,
      retryAfter: 7,
      reference: 'ref-1',
      generationId: 'g',
    })
    expect(currentReach()).toBe('here')
  })

  it.each([400, 403, 404, 413, 422, 429, 500, 502, 503])(
    'refused with %i is no server that is away',
    async (status) => {
      answering(() => new Response('<html>', { status }))
      const error = await thrownBy(api.conversation('c'))
      expect([error.status, error.code, isUnreachable(error)]).toEqual([status, `http_${status}`, false])
      expect(currentReach()).toBe('here')
    },
  )

  it('of somebody whom the server does not know says so', async () => {
    answering(() => json({ code: 'unauthenticated', detail: 'Log in.' }, 401))
    expect((await thrownBy(api.connections())).code).toBe('unauthenticated')
    expect(currentReach()).toBe('stranger')
  })

  it('without an answer, or with one that breaks off, finds the server away', async () => {
    for (const answer of [
      () => Promise.reject(new TypeError('Failed to fetch')),
      () => new Response('{"id":', { headers: { 'content-type': 'application/json' } }),
    ]) {
      noteReach('here')
      answering(answer)
      expect(isUnreachable(await thrownBy(api.conversation('c')))).toBe(true)
      expect(currentReach()).toBe('away')
    }
  })

  it('is given up when its time is over: a message that is saved sooner than anything else', async () => {
    const times: number[] = []
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
      times.push(milliseconds)
      return AbortSignal.abort(new DOMException('late', 'TimeoutError'))
    })
    vi.stubGlobal('fetch', async (_: Request, { signal }: RequestInit) => signal?.throwIfAborted())
    for (const asking of [
      api.send('c', { id: 'm', content: 'Aye', parent_id: null }),
      api.me(),
      api.models('openai'),
    ]) {
      expect(isUnreachable(await thrownBy(asking))).toBe(true)
    }
    expect(times).toEqual([5_000, 20_000, 60_000])
    expect(currentReach()).toBe('away')
  })
})
