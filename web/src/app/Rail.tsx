import { Link, useNavigate } from '@tanstack/react-router'
import { Archive, HardDrive, type LucideIcon, PanelLeftClose, Plus, Search, Settings2 } from 'lucide-react'
import { keycaps, SHORTCUTS } from '../keyboard/shortcuts'
import { useOpenConversation } from '../lists/useOpenConversation'
import { IconButton } from '../ui/IconButton'
import { Wordmark } from '../ui/Wordmark'
import { RailList } from './RailList'

interface RailProps {
  /** Fold the rail away, or close the sheet it stands in. */
  onFold: () => void
  /** Something was opened; a sheet closes then. */
  onOpened: () => void
  /** Go to a conversation, or find what was said. */
  onFind: () => void
}

const entry =
  'flex w-full items-center gap-2.5 rounded-corner px-2.5 py-1.5 text-left text-label hover:bg-wash pointer-coarse:min-h-11'

const feet: ReadonlyArray<{ to: '/archive' | '/storage' | '/settings'; words: string; icon: LucideIcon }> = [
  { to: '/archive', words: 'Archive and trash', icon: Archive },
  { to: '/storage', words: 'Storage', icon: HardDrive },
  { to: '/settings', words: 'Settings', icon: Settings2 },
]

export function Rail({ onFold, onOpened, onFind }: RailProps) {
  const navigate = useNavigate()
  const open = useOpenConversation()
  const begin = () =>
    open.mutate(undefined, {
      onSuccess: ({ id }) => {
        onOpened()
        void navigate({ to: '/c/$id', params: { id } })
      },
    })

  return (
    <nav aria-label="Conversations" className="flex min-h-0 flex-1 flex-col">
      <div className="flex items-center justify-between py-3 pr-2 pl-4.5">
        <Link to="/" onClick={onOpened} aria-label="Talekeeper, the current conversation">
          <Wordmark />
        </Link>
        <IconButton icon={PanelLeftClose} label="Fold the rail" onClick={onFold} />
      </div>
      <div className="px-2 pb-2">
        <button type="button" onClick={onFind} className={`${entry} text-quiet hover:text-ink`}>
          <Search size={17} strokeWidth={1.75} className="text-faint" aria-hidden="true" />
          <span className="flex-1">Find</span>
          <span aria-hidden="true" className="text-note text-faint pointer-coarse:hidden">
            {keycaps(SHORTCUTS.switcher.keys).join(' ')}
          </span>
        </button>
        <button
          type="button"
          onClick={begin}
          disabled={open.isPending}
          className={`${entry} font-semibold text-accent`}
        >
          <Plus size={17} aria-hidden="true" />
          New conversation
        </button>
        {open.isError && (
          <p role="alert" className="px-2.5 text-note text-accent">
            {open.error.message}
          </p>
        )}
      </div>
      <section aria-label="All conversations" tabIndex={0} className="min-h-0 flex-1 overflow-y-auto pb-4">
        <RailList onOpened={onOpened} />
      </section>
      <div className="border-t border-rule p-2">
        {feet.map(({ to, words, icon: Icon }) => (
          <Link
            key={to}
            to={to}
            onClick={onOpened}
            className={`${entry} text-quiet hover:text-ink`}
            activeProps={{ className: 'font-semibold !text-ink', 'aria-current': 'page' }}
          >
            <Icon size={17} strokeWidth={1.75} className="text-faint" aria-hidden="true" />
            {words}
          </Link>
        ))}
      </div>
    </nav>
  )
}
