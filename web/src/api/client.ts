/** Every request the page makes, one function a route. */
import { ApiError, problemOf, unreachable } from './problems'
import { noteReach } from './reach'
import type {
  Conversation,
  ConversationChange,
  Me,
  Message,
  Model,
  Page,
  PathMessage,
  Provider,
  ProviderChange,
  Providers,
  Sent,
} from './types'

const PATIENCE = 20_000
/** Asking a provider waits for a machine that is not ours. */
const PROVIDER_PATIENCE = 60_000

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH'

async function request<T>(method: Method, path: string, body?: unknown, patience = PATIENCE): Promise<T> {
  const giveUp = new AbortController()
  const timer = setTimeout(() => giveUp.abort(), patience)
  try {
    const response = await fetch(path, {
      method,
      signal: giveUp.signal,
      headers: {
        Accept: 'application/json',
        ...(method === 'GET' ? {} : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
    })
    noteReach(response.status === 401 ? 'stranger' : 'here')
    if (!response.ok) throw await problemOf(response)
    if (response.status === 204) return undefined as T
    return (await response.json()) as T
  } catch (error) {
    if (error instanceof ApiError) throw error
    noteReach('away')
    throw unreachable()
  } finally {
    clearTimeout(timer)
  }
}

function query(values: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined)
  return given.length === 0
    ? ''
    : `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`
}

export interface MessageDraft {
  id: string
  content: string
  parent_id: string | null
}

export const api = {
  me: () => request<Me>('GET', '/api/me'),
  logout: () => request<void>('POST', '/api/logout', {}),

  conversations: (cursor: string | null, limit = 40) =>
    request<Page<Conversation>>('GET', `/api/conversations${query({ cursor, limit })}`),
  openConversation: () => request<Conversation>('POST', '/api/conversations', {}),
  currentConversation: () => request<Conversation>('POST', '/api/conversations/current', {}),
  conversation: (id: string) => request<Conversation>('GET', `/api/conversations/${id}`),
  changeConversation: (id: string, change: ConversationChange) =>
    request<Conversation>('PATCH', `/api/conversations/${id}`, change),

  messages: (id: string, place: { leaf_id?: string; before?: string; limit?: number } = {}) =>
    request<Page<PathMessage>>('GET', `/api/conversations/${id}/messages${query(place)}`),
  send: (conversationId: string, draft: MessageDraft) =>
    request<Sent>('POST', `/api/conversations/${conversationId}/messages`, draft),
  regenerate: (messageId: string, id: string) =>
    request<Sent>('POST', `/api/messages/${messageId}/regenerate`, { id }),
  continueReply: (messageId: string, id: string) =>
    request<Sent>('POST', `/api/messages/${messageId}/continue`, { id }),
  stop: (generationId: string) => request<Message>('POST', `/api/generations/${generationId}/stop`, {}),

  providers: () => request<Providers>('GET', '/api/providers'),
  changeProvider: (name: string, change: ProviderChange) =>
    request<Provider>('PUT', `/api/providers/${name}`, change),
  chooseProvider: (provider: string, model?: string | null) =>
    request<Providers>('PUT', '/api/providers/chosen', { provider, model }),
  models: (name: string) =>
    request<{ items: Model[] }>('GET', `/api/providers/${name}/models`, undefined, PROVIDER_PATIENCE),
}

export type Api = typeof api
