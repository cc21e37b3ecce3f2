/**
 * Putting conversations away and bringing them back: each act is done at once, said at the page's edge,
 * and can be undone there. What comes back from the server goes into the lists without waiting for news.
 */
import { api } from '../api/client'
import { newId } from '../api/ids'
import { inWords } from '../api/problems'
import { withRetries } from '../api/retrying'
import type { Conversation } from '../api/types'
import { forgetConversation, noteConversation } from '../lists/conversations'
import { shortened } from '../ui/cutting'
import { say } from '../ui/notices'
import { titleOf } from '../ui/titles'
import type { Going } from './useGoing'

/** The conversation is put away: a reader who has it open goes on in the current one. */
function leave(id: string, going: Going): void {
  if (going.isAt(id)) void going.home()
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

export function archive(conversation: Conversation, going: Going): Promise<void> {
  const { id } = conversation
  return trying('Not archived.', async () => {
    const wasOpen = going.isAt(id)
    await noted(() => api.changeConversation(id, { archived: true }))
    leave(id, going)
    say(`${quoted(conversation)} is in the archive.`, async () => {
      await noted(() => api.changeConversation(id, { archived: false }))
      if (wasOpen) await going.to(id)
    })
  })
}

export function moveToTrash(conversation: Conversation, going: Going): Promise<void> {
  const { id } = conversation
  return trying('Not deleted.', async () => {
    const wasOpen = going.isAt(id)
    await noted(() => api.deleteConversation(id))
    leave(id, going)
    say(`${quoted(conversation)} is in the trash.`, async () => {
      await noted(() => api.restoreConversation(id))
      if (wasOpen) await going.to(id)
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
export function clear(conversation: Conversation, going: Going): Promise<void> {
  const { id } = conversation
  const next = newId()
  return trying('Not cleared.', async () => {
    const { cleared, conversation: fresh } = await withRetries(() => api.clearConversation(id, next))
    noteConversation(cleared)
    noteConversation(fresh)
    const wasOpen = going.isAt(id)
    if (wasOpen) await going.to(fresh.id)
    say(`${quoted(conversation)} was cleared.`, () =>
      putBack({ id, successor: fresh.id, goes: wasOpen }, going),
    )
  })
}

/** It goes to the archive, and a new current conversation begins. */
export function endAndBegin(conversation: Conversation, going: Going): Promise<void> {
  const { id } = conversation
  const next = newId()
  return trying('Not ended.', async () => {
    const { ended, conversation: begun } = await withRetries(() => api.endConversation(id, next))
    noteConversation(ended)
    noteConversation(begun)
    const wasOpen = going.isAt(id)
    if (wasOpen) await going.to(begun.id)
    say(`${quoted(conversation)} is ended, and in the archive.`, () =>
      putBack({ id, successor: begun.id, goes: wasOpen }, going),
    )
  })
}

/** The one before is back in its place; what took it goes to the trash. */
async function putBack(
  { id, successor, goes }: { id: string; successor: string; goes: boolean },
  going: Going,
): Promise<void> {
  await noted(() => api.restoreConversation(id, successor))
  noteConversation(await api.conversation(successor))
  if (goes || going.isAt(successor)) await going.to(id)
}

export function duplicate(conversation: Conversation, going: Going): Promise<void> {
  const copy = newId()
  return trying('Not duplicated.', async () => {
    await noted(() => api.copyConversation(conversation.id, copy))
    await going.to(copy)
    say('This is the duplicate, with all its branches.')
  })
}

/** What was said up to a message, as a conversation of its own. */
export function branchOut(conversationId: string, messageId: string, going: Going): Promise<void> {
  const copy = newId()
  return trying('Not branched.', async () => {
    await noted(() => api.copyConversation(conversationId, copy, messageId))
    await going.to(copy)
    say('A conversation of its own, up to that message.')
  })
}

export function deleteForGood(conversation: Conversation, going: Going): Promise<void> {
  return trying('Not deleted.', async () => {
    await withRetries(() => api.deleteForGood(conversation.id))
    forgetConversation(conversation.id)
    leave(conversation.id, going)
    say(`${quoted(conversation)} is deleted for good.`)
  })
}
