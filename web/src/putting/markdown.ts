/** What was said, as Markdown that can be kept elsewhere: who and when, then the words. */
import type { Message } from '../api/types'
import { momentOf } from '../ui/dates'

type Said = Pick<Message, 'role' | 'content' | 'created_at' | 'model' | 'status' | 'finish_reason'>

const NAMES: Record<Message['role'], string> = { user: 'You', assistant: 'Reply', system: 'Note' }

function speaker({ role, model }: Said): string {
  return role === 'assistant' && model !== null ? `${NAMES[role]} (${model})` : NAMES[role]
}

/** Why a reply is not all that the model had to say; empty where it is. */
function ending({ status, finish_reason: reason }: Said): string {
  if (status === 'interrupted' || status === 'stopped') return 'broken off'
  if (reason === 'length') return 'cut at the length limit'
  if (reason === 'filtered') return 'stopped by the provider’s filter'
  return reason === 'refused' ? 'the model refused' : ''
}

/** One's own words and notes stand as quotations: in a long text they are found at a glance. */
export function asMarkdown(message: Said): string {
  const head = `**${speaker(message)}** · ${momentOf(message.created_at)}`
  const text = message.content.trimEnd()
  const body =
    message.role === 'assistant'
      ? text
      : text
          .split('\n')
          .map((line) => `> ${line}`.trimEnd())
          .join('\n')
  const end = ending(message)
  return `${head}\n\n${body}${end && `\n\n*(${end})*`}\n`
}

export function allAsMarkdown(title: string, messages: readonly Said[]): string {
  return [`# ${title}\n`, ...messages.map(asMarkdown)].join('\n')
}
