/** What the server tells on its streams, as values. */
import type { Conversation, Health, Message } from './types'

export interface TextEvent {
  conversation_id: string
  message_id: string
  generation_id: string
  offset: number
  text: string
}

export type ServerEvent =
  /** `missed`: something may have happened to the account's conversations that was not told. */
  | { type: 'ready'; boot_id: string; stream_id: string; missed: boolean }
  | { type: 'conversation.changed'; seq: number; conversation: Conversation }
  | {
      type: 'message.changed'
      seq: number
      conversation_id: string
      conversation: Conversation | null
      message: Message
    }
  | ({ type: 'snapshot' } & TextEvent)
  | ({ type: 'delta' } & TextEvent)
  | { type: 'resync'; conversation_id: string }
  | { type: 'conversation.gone'; conversation_id: string }
  | { type: 'health'; health: Health }

/** What the stream tells of itself, beside what happened. */
export type StreamEvent =
  | ServerEvent
  /** It follows one more conversation, and tells what happened after that place. */
  | { type: 'following'; conversation_id: string; seq: number }
  /** The last event: why the server ends it. */
  | { type: 'end'; code: string; detail: string }

type Loose = Record<string, unknown>

function isRecord(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null
}

function isText(data: Loose): boolean {
  return (
    typeof data.conversation_id === 'string' &&
    typeof data.message_id === 'string' &&
    typeof data.offset === 'number' &&
    typeof data.text === 'string'
  )
}

/** The event a frame carries, or null for what this page does not know. */
export function parsedEvent(type: string, raw: string): StreamEvent | null {
  let data: unknown
  try {
    data = JSON.parse(raw)
  } catch {
    return null
  }
  if (!isRecord(data)) return null
  switch (type) {
    case 'ready':
      return {
        type,
        boot_id: String(data.boot_id ?? ''),
        stream_id: String(data.stream_id ?? ''),
        missed: data.missed !== false,
      }
    case 'following':
      return { type, conversation_id: String(data.conversation_id ?? ''), seq: Number(data.seq) }
    case 'end':
      return { type, code: String(data.code ?? ''), detail: String(data.detail ?? '') }
    case 'conversation.changed':
      if (!isRecord(data.conversation)) return null
      return { type, seq: Number(data.seq), conversation: data.conversation as unknown as Conversation }
    case 'message.changed': {
      if (!isRecord(data.message)) return null
      const message = data.message as unknown as Message
      const conversation = isRecord(data.conversation) ? (data.conversation as unknown as Conversation) : null
      return { type, seq: Number(data.seq), conversation_id: message.conversation_id, conversation, message }
    }
    case 'snapshot':
    case 'delta':
      return isText(data) ? { type, ...(data as unknown as TextEvent) } : null
    case 'resync':
    case 'conversation.gone':
      return { type, conversation_id: String(data.conversation_id ?? '') }
    case 'health':
      return { type, health: { reasons: [], ...data } as unknown as Health }
    default:
      return null
  }
}

/** The conversation an event is about; null where it is about the stream itself. */
export function conversationOf(event: ServerEvent): string | null {
  switch (event.type) {
    case 'ready':
    case 'health':
      return null
    case 'conversation.changed':
      return event.conversation.id
    default:
      return event.conversation_id
  }
}
