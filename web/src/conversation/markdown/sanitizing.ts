/** What of a message's HTML tree may reach the page. Images stay only to be shown as links. */
import { defaultSchema, type Schema } from 'hast-util-sanitize'

export const schema: Schema = {
  ...defaultSchema,
  attributes: {
    ...defaultSchema.attributes,
    span: [['className', 'speech']],
    p: [['className', 'info']],
    li: [...(defaultSchema.attributes?.li ?? []), 'value'],
  },
  protocols: {
    href: ['http', 'https', 'mailto'],
    src: ['http', 'https'],
  },
}

/** The address a link may lead to, or null: relative ones would point into this program. */
export function safeAddress(address: string | undefined): URL | null {
  try {
    const url = new URL(address ?? '')
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url : null
  } catch {
    return null
  }
}
