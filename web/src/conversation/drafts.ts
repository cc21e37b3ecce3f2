/** What is typed and not sent, kept per conversation over reloads. */

const key = (conversationId: string) => `talekeeper.draft.${conversationId}`

export function keptDraft(conversationId: string): string {
  try {
    return localStorage.getItem(key(conversationId)) ?? ''
  } catch {
    return ''
  }
}

export function keepDraft(conversationId: string, text: string): void {
  try {
    if (text === '') localStorage.removeItem(key(conversationId))
    else localStorage.setItem(key(conversationId), text)
  } catch {
    // Without storage the draft lives as long as the page.
  }
}
