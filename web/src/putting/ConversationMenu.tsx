import {
  Archive,
  ArchiveRestore,
  Copy,
  Eraser,
  FileText,
  Flag,
  PencilLine,
  Pin,
  PinOff,
  Trash2,
} from 'lucide-react'
import type { Conversation } from '../api/types'
import { shelfOf } from '../lists/ordering'
import { copyText } from '../ui/copying'
import { Menu, type MenuEntry } from '../ui/Menu'
import type { OpenMenu } from '../ui/MenuButton'
import { say } from '../ui/notices'
import { titleOf } from '../ui/titles'
import { archive, bringBack, clear, duplicate, endAndBegin, moveToTrash, pin } from './acts'
import { pathAsMarkdown } from './copyingOut'
import { type Going, useGoing } from './useGoing'

interface ConversationMenuProps extends OpenMenu {
  conversation: Conversation
  onRename: () => void
}

async function copyAll(conversation: Conversation): Promise<void> {
  try {
    const text = await pathAsMarkdown(conversation)
    say((await copyText(text)) ? 'Copied, as Markdown.' : 'The browser did not let it be copied.')
  } catch {
    say('Not copied: the conversation could not be fetched.')
  }
}

/** What can be done with a conversation, wherever it lies. */
export function ConversationMenu({ conversation, onRename, ...menu }: ConversationMenuProps) {
  const shelf = shelfOf(conversation)
  const going = useGoing()
  const act = (work: (conversation: Conversation, going: Going) => Promise<void>) => () =>
    void work(conversation, going)
  const copies: MenuEntry[] = [
    { words: 'Duplicate', icon: Copy, onSelect: act(duplicate), begins: true },
    { words: 'Copy as Markdown', icon: FileText, onSelect: act(copyAll) },
  ]
  const rename: MenuEntry = { words: 'Rename', icon: PencilLine, onSelect: onRename }
  const trash: MenuEntry = { words: 'Delete', icon: Trash2, onSelect: act(moveToTrash) }
  const entries: MenuEntry[] =
    shelf === 'active'
      ? [
          rename,
          conversation.pinned
            ? { words: 'Unpin', icon: PinOff, onSelect: () => void pin(conversation, false) }
            : { words: 'Pin to the top', icon: Pin, onSelect: () => void pin(conversation, true) },
          ...copies,
          { words: 'End and start new', icon: Flag, onSelect: act(endAndBegin), begins: true },
          { words: 'Archive', icon: Archive, onSelect: act(archive) },
          { words: 'Clear', icon: Eraser, onSelect: act(clear) },
          trash,
        ]
      : [
          {
            words: shelf === 'trash' ? 'Restore' : 'Bring back',
            icon: ArchiveRestore,
            onSelect: act(bringBack),
          },
          rename,
          ...copies,
          ...(shelf === 'archived' ? [{ ...trash, begins: true }] : []),
        ]
  return <Menu label={`About ${titleOf(conversation)}`} entries={entries} {...menu} />
}
