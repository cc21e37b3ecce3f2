/** The events of the server's streams, as values: their types are those of the contract. */
import type { components } from './schema'

type Written = components['schemas']['AccountEvent']

/** The event's name as its `type`, beside what it carries. */
type Flat<Event> = Event extends { event: infer Type; data: infer Data } ? { type: Type } & Data : never

type DataOf<Type> = Extract<Written, { event: Type }>['data']

/** What comes over the stream. */
export type StreamEvent = Flat<Written>

/** What the stream tells of the account; the rest is between the server and who holds the stream. */
export type ServerEvent = Exclude<StreamEvent, { type: 'following' | 'end' }>

export type TextEvent = components['schemas']['ReplyText']

const TEXT = {
  conversation_id: 'string',
  message_id: 'string',
  generation_id: 'string',
  offset: 'number',
  text: 'string',
} as const
const NAMED = { conversation_id: 'string' } as const

/** What an event must have to be one; the contract's fields, by the kind of their values. */
const FIELDS = {
  ready: { boot_id: 'string', stream_id: 'string', missed: 'boolean' },
  following: { conversation_id: 'string', seq: 'number' },
  'conversation.changed': { seq: 'number', conversation: 'object' },
  'message.changed': { seq: 'number', conversation: 'object', message: 'object' },
  snapshot: TEXT,
  delta: TEXT,
  resync: NAMED,
  'conversation.gone': NAMED,
  'job.changed': { job: 'object' },
  health: { state: 'string', reasons: 'object' },
  end: { code: 'string', detail: 'string' },
} as const satisfies { [Type in Written['event']]: Record<keyof DataOf<Type>, string> }

function isEvent(type: string): type is Written['event'] {
  return Object.hasOwn(FIELDS, type)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The event a frame carries, or null for what this page does not know. */
export function parsedEvent(type: string, raw: string): StreamEvent | null {
  if (!isEvent(type)) return null
  let data: unknown
  try {
    data = JSON.parse(raw)
  } catch {
    return null
  }
  if (!isRecord(data)) return null
  for (const [name, kind] of Object.entries(FIELDS[type])) {
    if (typeof data[name] !== kind || data[name] === null) return null
  }
  return { ...data, type } as StreamEvent
}

/** The conversation an event is about; null where it is about the stream itself. */
export function conversationOf(event: ServerEvent): string | null {
  switch (event.type) {
    case 'ready':
    case 'health':
    case 'job.changed':
      return null
    case 'conversation.changed':
      return event.conversation.id
    case 'message.changed':
      return event.message.conversation_id
    default:
      return event.conversation_id
  }
}
