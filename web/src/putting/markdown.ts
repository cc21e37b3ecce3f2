/** What was said, as Markdown that can be kept elsewhere: who and when, then the words. */
import type { Message } from '../api/types'
import { momentOf } from '../ui/dates'

type Said = Pick<Message, 'role' | 'content' | 'created_at' | 'model' | 'status'>

const NAMES: Record<Message['role'], string> = { user: 'You', assistant: 'Reply', system: 'Note' }

function speaker({ role, model }: Said): string {
  return role === 'assistant' && model !== null ? `${NAMES[role]} (${model})` : NAMES[role]
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
  const ending = message.status === 'interrupted' || message.status === 'stopped' ? '\n\n*(broken off)*' : ''
  return `${head}\n\n${body}${ending}\n`
}

export function allAsMarkdown(title: string, messages: readonly Said[]): string {
  return [`# ${title}\n`, ...messages.map(asMarkdown)].join('\n')
}
