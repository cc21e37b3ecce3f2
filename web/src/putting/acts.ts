/**
 * Putting conversations away and bringing them back: each act is done at once, said at the page's edge,
 * and can be undone there. What comes back from the server goes into the lists without waiting for news.
 */
import { api } from '../api/client'
import { newId } from '../api/ids'
import { inWords } from '../api/problems'
import { withRetries } from '../api/retrying'
import type { Conversation } from '../api/types'
import { forgetConversation, noteConversation } from '../app/queries'
import { router } from '../app/router'
import { shortened } from '../ui/cutting'
import { say } from '../ui/notices'
import { titleOf } from '../ui/titles'

function goTo(id: string): Promise<void> {
  return router.navigate({ to: '/c/$id', params: { id } })
}

function isOpen(id: string): boolean {
  return router.state.location.pathname === `/c/${id}`
}

/** The conversation is away; whoever stood in it goes on in the current one. */
function leave(id: string): void {
  if (isOpen(id)) void router.navigate({ to: '/' })
}

async function noted(work: () => Promise<Conversation>): Promise<Conversation> {
  const conversation = await withRetries(work)
  noteConversation(conversation)
  return conversation
}

/** Does it, and says so if it could not be done. */
async function trying(failing: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    say(`${failing} ${inWords(error)}`)
  }
}

function quoted(conversation: Conversation): string {
  return `“${shortened(titleOf(conversation), 48)}”`
}

export function pin(conversation: Conversation, pinned: boolean): Promise<void> {
  const { id } = conversation
  return trying(pinned ? 'Not pinned.' : 'Not unpinned.', () =>
    noted(() => api.changeConversation(id, { pinned })),
  )
}

export function archive(conversation: Conversation): Promise<void> {
  const { id } = conversation
  return trying('Not archived.', async () => {
    const wasOpen = isOpen(id)
    await noted(() => api.changeConversation(id, { archived: true }))
    leave(id)
    say(`${quoted(conversation)} is in the archive.`, async () => {
      await noted(() => api.changeConversation(id, { archived: false }))
      if (wasOpen) await goTo(id)
    })
  })
}

export function moveToTrash(conversation: Conversation): Promise<void> {
  const { id } = conversation
  return trying('Not deleted.', async () => {
    const wasOpen = isOpen(id)
    await noted(() => api.deleteConversation(id))
    leave(id)
    say(`${quoted(conversation)} is in the trash.`, async () => {
      await noted(() => api.restoreConversation(id))
      if (wasOpen) await goTo(id)
    })
  })
}

/** Out of the trash or the archive, to where it was. */
export function bringBack(conversation: Conversation): Promise<void> {
  return trying('Not restored.', async () => {
    await noted(() => api.restoreConversation(conversation.id))
    say(`${quoted(conversation)} is back.`)
  })
}

/** Another one with its title and choices takes its place; what was said goes to the trash. */
export function clear(conversation: Conversation): Promise<void> {
  const { id } = conversation
  const next = newId()
  return trying('Not cleared.', async () => {
    const { cleared, conversation: fresh } = await withRetries(() => api.clearConversation(id, next))
    noteConversation(cleared)
    noteConversation(fresh)
    const wasOpen = isOpen(id)
    if (wasOpen) await goTo(fresh.id)
    say(`${quoted(conversation)} was cleared.`, () => putBack(id, fresh.id, wasOpen))
  })
}

/** It goes to the archive, and a new current conversation begins. */
export function endAndBegin(conversation: Conversation): Promise<void> {
  const { id } = conversation
  const next = newId()
  return trying('Not ended.', async () => {
    const { ended, conversation: begun } = await withRetries(() => api.endConversation(id, next))
    noteConversation(ended)
    noteConversation(begun)
    const wasOpen = isOpen(id)
    if (wasOpen) await goTo(begun.id)
    say(`${quoted(conversation)} is ended, and in the archive.`, () => putBack(id, begun.id, wasOpen))
  })
}

/** The one before is back in its place; what took it goes to the trash. */
async function putBack(id: string, successor: string, goes: boolean): Promise<void> {
  await noted(() => api.restoreConversation(id, successor))
  noteConversation(await api.conversation(successor))
  if (goes || isOpen(successor)) await goTo(id)
}

export function duplicate(conversation: Conversation): Promise<void> {
  const copy = newId()
  return trying('Not duplicated.', async () => {
    await noted(() => api.copyConversation(conversation.id, copy))
    await goTo(copy)
    say('This is the duplicate, with all its branches.')
  })
}

/** What was said up to a message, as a conversation of its own. */
export function branchOut(conversationId: string, messageId: string): Promise<void> {
  const copy = newId()
  return trying('Not branched.', async () => {
    await noted(() => api.copyConversation(conversationId, copy, messageId))
    await goTo(copy)
    say('A conversation of its own, up to that message.')
  })
}

export function deleteForGood(conversation: Conversation): Promise<void> {
  return trying('Not deleted.', async () => {
    await withRetries(() => api.deleteForGood(conversation.id))
    forgetConversation(conversation.id)
    leave(conversation.id)
    say(`${quoted(conversation)} is deleted for good.`)
  })
}
