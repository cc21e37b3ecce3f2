import {
  Bookmark,
  BookmarkX,
  Copy,
  FileText,
  GitBranchPlus,
  Info,
  Link2,
  PencilLine,
  Trash2,
} from 'lucide-react'
import type { Message } from '../api/types'
import { branchOut } from '../putting/acts'
import { asMarkdown } from '../putting/markdown'
import { useGoing } from '../putting/useGoing'
import { copyText } from '../ui/copying'
import { Menu, type MenuEntry } from '../ui/Menu'
import type { OpenMenu } from '../ui/MenuButton'
import { say } from '../ui/notices'
import { useTalk } from './TalkContext'

interface MessageMenuProps extends OpenMenu {
  message: Message
  onFacts: (() => void) | null
}

async function copy(text: string, done: string): Promise<void> {
  say((await copyText(text)) ? done : 'The browser did not let it be copied.')
}

/** What can be done with a message. */
export function MessageMenu({ message, onFacts, ...menu }: MessageMenuProps) {
  const { runtime, edit, noteBookmark } = useTalk()
  const going = useGoing()
  const { id, conversation_id, content, role, bookmark } = message

  const remove = async () => {
    await runtime.reading.deleteBranch(id)
    const { view, notice } = runtime.shown.read()
    if (notice !== null || view.lines.some((line) => line.id === id)) return
    say('The message and what followed it are taken out.', () => runtime.reading.restoreBranch(id))
  }
  const mark = async () => {
    await runtime.setBookmark(id, '')
    noteBookmark(id)
  }

  const entries: MenuEntry[] = [
    ...(role === 'user'
      ? [
          {
            words: 'Edit as a branch',
            icon: PencilLine,
            onSelect: () => edit({ id, parentId: message.parent_id, content }),
          },
        ]
      : []),
    { words: 'Copy', icon: Copy, onSelect: () => void copy(content, 'Copied.') },
    {
      words: 'Copy as Markdown',
      icon: FileText,
      onSelect: () => void copy(asMarkdown(message), 'Copied, with who said it and when.'),
    },
    {
      words: 'Copy a link to it',
      icon: Link2,
      onSelect: () =>
        void copy(`${location.origin}/c/${conversation_id}?message=${id}`, 'The link is copied.'),
    },
    ...(bookmark === null
      ? [{ words: 'Bookmark', icon: Bookmark, onSelect: () => void mark(), begins: true }]
      : [
          {
            words: bookmark === '' ? 'Add a note' : 'Change the note',
            icon: Bookmark,
            onSelect: () => noteBookmark(id),
            begins: true,
          },
          {
            words: 'Remove the bookmark',
            icon: BookmarkX,
            onSelect: () => void runtime.setBookmark(id, null),
          },
        ]),
    {
      words: 'Branch into a new conversation',
      icon: GitBranchPlus,
      onSelect: () => void branchOut(conversation_id, id, going),
    },
    ...(onFacts === null ? [] : [{ words: 'How this reply was made', icon: Info, onSelect: onFacts }]),
    { words: 'Delete', icon: Trash2, onSelect: () => void remove(), begins: true },
  ]
  return <Menu label="About this message" entries={entries} {...menu} />
}
