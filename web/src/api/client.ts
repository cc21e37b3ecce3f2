/** Every request the page makes, one function a route. */
import { noteAccount, noteLogout } from './account'
import { BASE } from './base'
import { ApiError, problemOf, unreachable } from './problems'
import { noteReach } from './reach'
import type {
  Cleared,
  Connection,
  ConnectionChange,
  Connections,
  Conversation,
  ConversationChange,
  Ended,
  Found,
  FoundServer,
  Generation,
  Health,
  LocalModels,
  Me,
  Message,
  Model,
  NewConnection,
  Page,
  PathMessage,
  Preset,
  SearchAsked,
  Sent,
  Shelf,
  Storage,
  Thoughts,
  Token,
  TreePage,
} from './types'

const PATIENCE = 20_000
/** Asking a provider waits for a machine that is not ours. */
const PROVIDER_PATIENCE = 60_000

/** What is not saved by then is told as unsaved and tried again: it has an id, so it is never doubled. */
const SAVING_PATIENCE = 5_000

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

async function request<T>(method: Method, path: string, body?: unknown, patience = PATIENCE): Promise<T> {
  const giveUp = new AbortController()
  const timer = setTimeout(() => giveUp.abort(), patience)
  try {
    const response = await fetch(BASE + path, {
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

function query(values: Record<string, string | number | boolean | null | undefined>): string {
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
  me: async () => {
    const me = await request<Me>('GET', '/api/me')
    noteAccount(me.id)
    return me
  },
  logout: async () => {
    await request<void>('POST', '/api/logout', {})
    noteLogout()
  },

  health: () => request<Health>('GET', '/api/health'),

  conversations: (cursor: string | null, limit = 40) =>
    request<Page<Conversation>>('GET', `/api/conversations${query({ cursor, limit })}`),
  openConversation: () => request<Conversation>('POST', '/api/conversations', {}),
  currentConversation: () => request<Conversation>('POST', '/api/conversations/current', {}),
  conversation: (id: string) => request<Conversation>('GET', `/api/conversations/${id}`),
  changeConversation: (id: string, change: ConversationChange) =>
    request<Conversation>('PATCH', `/api/conversations/${id}`, change),

  messages: (id: string, place: { leaf_id?: string; before?: string; after?: string; limit?: number } = {}) =>
    request<Page<PathMessage>>('GET', `/api/conversations/${id}/messages${query(place)}`),
  send: (conversationId: string, draft: MessageDraft) =>
    request<Sent>('POST', `/api/conversations/${conversationId}/messages`, draft, SAVING_PATIENCE),
  setBookmark: (messageId: string, bookmark: string | null) =>
    request<Message>('PATCH', `/api/messages/${messageId}`, { bookmark }),
  setHidden: (messageId: string, hidden: boolean) =>
    request<Message>('PATCH', `/api/messages/${messageId}`, { hidden_from_ai: hidden }),
  reasoning: (messageId: string, position: number, after: number) =>
    request<Thoughts>('GET', `/api/messages/${messageId}/reasoning/${position}${query({ after })}`),
  deleteBranch: (messageId: string) => request<Conversation>('DELETE', `/api/messages/${messageId}`, {}),
  restoreBranch: (messageId: string) =>
    request<Conversation>('POST', `/api/messages/${messageId}/restore`, {}),
  regenerate: (messageId: string, id: string) =>
    request<Sent>('POST', `/api/messages/${messageId}/regenerate`, { id }),
  continueReply: (messageId: string, id: string) =>
    request<Sent>('POST', `/api/messages/${messageId}/continue`, { id }),
  stop: (generationId: string) => request<Message>('POST', `/api/generations/${generationId}/stop`, {}),

  connections: () => request<Connections>('GET', '/api/connections'),
  presets: () => request<{ items: Preset[] }>('GET', '/api/connections/presets'),
  addConnection: (made: NewConnection) => request<Connection>('POST', '/api/connections', made),
  changeConnection: (id: string, change: ConnectionChange) =>
    request<Connection>('PATCH', `/api/connections/${id}`, change),
  removeConnection: (id: string) => request<void>('DELETE', `/api/connections/${id}`, {}),
  chooseConnection: (connection_id: string, model?: string | null) =>
    request<Connections>('PUT', '/api/connections/chosen', { connection_id, model }),
  testConnection: (id: string) =>
    request<Connection>('POST', `/api/connections/${id}/test`, {}, PROVIDER_PATIENCE),
  foundServers: () => request<{ items: FoundServer[] }>('GET', '/api/connections/found'),
  models: (id: string) =>
    request<{ items: Model[] }>('GET', `/api/connections/${id}/models`, undefined, PROVIDER_PATIENCE),

  localModels: () => request<LocalModels>('GET', '/api/models'),
  addLocalModel: (source: string) => request<LocalModels>('POST', '/api/models', { source }),
  stopLocalModel: (name: string) =>
    request<LocalModels>('POST', `/api/models/${encodeURIComponent(name)}/stop`, {}),
  removeLocalModel: (name: string) => request<void>('DELETE', `/api/models/${encodeURIComponent(name)}`, {}),

  conversationsIn: (state: Shelf, cursor: string | null, limit = 40) =>
    request<Page<Conversation>>('GET', `/api/conversations${query({ state, cursor, limit })}`),
  archiveBefore: (before: number) =>
    request<{ count: number }>('POST', '/api/conversations/archive', { before }),
  endConversation: (id: string, next: string) =>
    request<Ended>('POST', `/api/conversations/${id}/end`, { id: next }),
  clearConversation: (id: string, next: string) =>
    request<Cleared>('POST', `/api/conversations/${id}/clear`, { id: next }),
  /** The whole tree, or only the path to a leaf. */
  copyConversation: (id: string, copy: string, leafId?: string) =>
    request<Conversation>('POST', `/api/conversations/${id}/copy`, {
      id: copy,
      ...(leafId !== undefined && { leaf_id: leafId }),
    }),
  deleteConversation: (id: string) => request<Conversation>('DELETE', `/api/conversations/${id}`),
  deleteForGood: (id: string) => request<void>('DELETE', `/api/conversations/${id}?for_good=true`),
  restoreConversation: (id: string, replaces?: string) =>
    request<Conversation>('POST', `/api/conversations/${id}/restore`, replaces ? { replaces } : {}),
  tree: (id: string, after: number, limit: number) =>
    request<TreePage>('GET', `/api/conversations/${id}/tree${query({ after, limit })}`),
  bookmarks: (id: string) => request<{ items: Message[] }>('GET', `/api/conversations/${id}/bookmarks`),
  generation: (id: string) => request<Generation>('GET', `/api/generations/${id}`),
  search: (asked: SearchAsked, cursor: string | null, limit = 20) =>
    request<Found>('GET', `/api/search${query({ ...asked, cursor, limit })}`),
  storage: () => request<Storage>('GET', '/api/storage'),

  /** What the open event stream follows besides (`ID@SEQ`), and no more. */
  changeFollowing: (stream: string, change: { follow: string[]; unfollow: string[] }) =>
    request<{ following: string[] }>('PATCH', `/api/events/${stream}`, change),
  tokens: () => request<{ items: Token[] }>('GET', '/api/tokens'),
  revokeToken: (id: string) => request<void>('DELETE', `/api/tokens/${encodeURIComponent(id)}`, {}),
}

export type Api = typeof api
