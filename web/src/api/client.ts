/** Every request the page makes, one function a route. */
import createClient from 'openapi-fetch'
import { noteAccount, noteLogout } from './account'
import { BASE } from './base'
import { ApiError, problemOf, unreachable } from './problems'
import { noteReach } from './reach'
import type { paths } from './schema'
import type { ConnectionChange, ConversationChange, NewConnection, SearchAsked, Shelf } from './types'

const PATIENCE = 20_000
/** Asking a provider waits for a machine that is not ours. */
const PROVIDER_PATIENCE = 60_000
/** What is not saved by then is told as unsaved and tried again: it has an id, so it is never doubled. */
const SAVING_PATIENCE = 5_000

/** A request is given up after so many milliseconds, its answer's body included. */
function within(patience: number) {
  return { fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(patience) }) }
}

const wire = createClient<paths>({
  baseUrl: location.origin + BASE,
  headers: { Accept: 'application/json' },
  cache: 'no-store',
  ...within(PATIENCE),
})

wire.use({
  onRequest: ({ request }) => {
    // The server asks for it even where there is no body: a page of another site cannot set it.
    if (request.method !== 'GET') request.headers.set('Content-Type', 'application/json')
  },
  onResponse: async ({ response }) => {
    noteReach(response.status === 401 ? 'stranger' : 'here')
    if (!response.ok) throw await problemOf(response)
  },
})

/** What the server answered; throws ApiError, also where no answer came. */
async function answer<Answer extends { data?: unknown }>(
  asking: Promise<Answer>,
): Promise<Exclude<Answer['data'], undefined>> {
  try {
    const { data } = await asking
    return data as Exclude<Answer['data'], undefined>
  } catch (error) {
    if (error instanceof ApiError) throw error
    noteReach('away')
    throw unreachable()
  }
}

export interface MessageDraft {
  id: string
  content: string
  parent_id: string | null
}

const conversation = (conversation_id: string) => ({ path: { conversation_id } })
const message = (message_id: string) => ({ path: { message_id } })
const generation = (generation_id: string) => ({ path: { generation_id } })
const connection = (connection_id: string) => ({ path: { connection_id } })

export const api = {
  me: async () => {
    const me = await answer(wire.GET('/api/me'))
    noteAccount(me.id)
    return me
  },
  logout: async () => {
    await answer(wire.POST('/api/logout'))
    noteLogout()
  },
  tokens: () => answer(wire.GET('/api/tokens')),
  revokeToken: async (id: string) => {
    await answer(wire.DELETE('/api/tokens/{token_id}', { params: { path: { token_id: id } } }))
  },

  health: () => answer(wire.GET('/api/health')),
  storage: () => answer(wire.GET('/api/storage')),
  search: (asked: SearchAsked, cursor: string | null, limit = 20) =>
    answer(wire.GET('/api/search', { params: { query: { ...asked, cursor, limit } } })),
  /** What the open event stream follows besides (`ID@SEQ`), and no more. */
  changeFollowing: (stream: string, change: { follow: string[]; unfollow: string[] }) =>
    answer(wire.PATCH('/api/events/{stream_id}', { params: { path: { stream_id: stream } }, body: change })),

  conversationsIn: (state: Shelf, cursor: string | null, limit = 40) =>
    answer(wire.GET('/api/conversations', { params: { query: { state, cursor, limit } } })),
  openConversation: () => answer(wire.POST('/api/conversations', { body: {} })),
  currentConversation: () => answer(wire.POST('/api/conversations/current')),
  archiveBefore: (before: number) => answer(wire.POST('/api/conversations/archive', { body: { before } })),
  conversation: (id: string) =>
    answer(wire.GET('/api/conversations/{conversation_id}', { params: conversation(id) })),
  changeConversation: (id: string, change: ConversationChange) =>
    answer(
      wire.PATCH('/api/conversations/{conversation_id}', {
        params: conversation(id),
        body: change,
      }),
    ),
  endConversation: (id: string, next: string) =>
    answer(
      wire.POST('/api/conversations/{conversation_id}/end', {
        params: conversation(id),
        body: { id: next },
      }),
    ),
  clearConversation: (id: string, next: string) =>
    answer(
      wire.POST('/api/conversations/{conversation_id}/clear', {
        params: conversation(id),
        body: { id: next },
      }),
    ),
  /** The whole tree, or only the path to a leaf. */
  copyConversation: (id: string, copy: string, leafId?: string) =>
    answer(
      wire.POST('/api/conversations/{conversation_id}/copy', {
        params: conversation(id),
        body: { id: copy, ...(leafId !== undefined && { leaf_id: leafId }) },
      }),
    ),
  deleteConversation: (id: string) =>
    answer(wire.DELETE('/api/conversations/{conversation_id}', { params: conversation(id) })),
  deleteForGood: async (id: string) => {
    await answer(
      wire.DELETE('/api/conversations/{conversation_id}', {
        params: { ...conversation(id), query: { for_good: true } },
      }),
    )
  },
  restoreConversation: (id: string, replaces?: string) =>
    answer(
      wire.POST('/api/conversations/{conversation_id}/restore', {
        params: conversation(id),
        body: replaces ? { replaces } : {},
      }),
    ),

  messages: (id: string, place: { leaf_id?: string; before?: string; after?: string; limit?: number } = {}) =>
    answer(
      wire.GET('/api/conversations/{conversation_id}/messages', {
        params: { ...conversation(id), query: place },
      }),
    ),
  tree: (id: string, after: number, limit: number) =>
    answer(
      wire.GET('/api/conversations/{conversation_id}/tree', {
        params: { ...conversation(id), query: { after, limit } },
      }),
    ),
  bookmarks: (id: string) =>
    answer(wire.GET('/api/conversations/{conversation_id}/bookmarks', { params: conversation(id) })),
  send: (conversationId: string, draft: MessageDraft) =>
    answer(
      wire.POST('/api/conversations/{conversation_id}/messages', {
        params: conversation(conversationId),
        body: draft,
        ...within(SAVING_PATIENCE),
      }),
    ),
  setBookmark: (messageId: string, bookmark: string | null) =>
    answer(wire.PATCH('/api/messages/{message_id}', { params: message(messageId), body: { bookmark } })),
  setHidden: (messageId: string, hidden: boolean) =>
    answer(
      wire.PATCH('/api/messages/{message_id}', {
        params: message(messageId),
        body: { hidden_from_ai: hidden },
      }),
    ),
  reasoning: (messageId: string, position: number, after: number) =>
    answer(
      wire.GET('/api/messages/{message_id}/reasoning/{position}', {
        params: { path: { message_id: messageId, position }, query: { after } },
      }),
    ),
  deleteBranch: (messageId: string) =>
    answer(wire.DELETE('/api/messages/{message_id}', { params: message(messageId) })),
  restoreBranch: (messageId: string) =>
    answer(wire.POST('/api/messages/{message_id}/restore', { params: message(messageId) })),
  regenerate: (messageId: string, id: string) =>
    answer(wire.POST('/api/messages/{message_id}/regenerate', { params: message(messageId), body: { id } })),
  continueReply: (messageId: string, id: string) =>
    answer(wire.POST('/api/messages/{message_id}/continue', { params: message(messageId), body: { id } })),
  generation: (id: string) =>
    answer(wire.GET('/api/generations/{generation_id}', { params: generation(id) })),
  stop: (id: string) =>
    answer(wire.POST('/api/generations/{generation_id}/stop', { params: generation(id) })),

  connections: () => answer(wire.GET('/api/connections')),
  presets: () => answer(wire.GET('/api/connections/presets')),
  foundServers: () => answer(wire.GET('/api/connections/found')),
  addConnection: (made: NewConnection) => answer(wire.POST('/api/connections', { body: made })),
  changeConnection: (id: string, change: ConnectionChange) =>
    answer(wire.PATCH('/api/connections/{connection_id}', { params: connection(id), body: change })),
  removeConnection: async (id: string) => {
    await answer(wire.DELETE('/api/connections/{connection_id}', { params: connection(id) }))
  },
  chooseConnection: (connection_id: string, model?: string | null) =>
    answer(wire.PUT('/api/connections/chosen', { body: { connection_id, model } })),
  testConnection: (id: string) =>
    answer(
      wire.POST('/api/connections/{connection_id}/test', {
        params: connection(id),
        ...within(PROVIDER_PATIENCE),
      }),
    ),
  models: (id: string) =>
    answer(
      wire.GET('/api/connections/{connection_id}/models', {
        params: connection(id),
        ...within(PROVIDER_PATIENCE),
      }),
    ),

  localModels: () => answer(wire.GET('/api/models')),
  addLocalModel: (source: string) => answer(wire.POST('/api/models', { body: { source } })),
  stopLocalModel: (name: string) =>
    answer(wire.POST('/api/models/{name}/stop', { params: { path: { name } } })),
  removeLocalModel: async (name: string) => {
    await answer(wire.DELETE('/api/models/{name}', { params: { path: { name } } }))
  },
}

export type Api = typeof api
