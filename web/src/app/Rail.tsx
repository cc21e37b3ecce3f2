import { Link, useNavigate } from '@tanstack/react-router'
import { PanelLeftClose, Plus, Settings2 } from 'lucide-react'
import { IconButton } from '../ui/IconButton'
import { Wordmark } from '../ui/Wordmark'
import { useOpenConversation } from './queries'
import { RailList } from './RailList'

interface RailProps {
  /** Fold the rail away, or close the sheet it stands in. */
  onFold: () => void
  /** Something was opened; a sheet closes then. */
  onOpened: () => void
}

export function Rail({ onFold, onOpened }: RailProps) {
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
        <button
          type="button"
          onClick={begin}
          disabled={open.isPending}
          className="flex w-full items-center gap-2 rounded-corner px-2.5 py-2 text-left text-[0.9375rem] font-semibold text-accent hover:bg-wash"
        >
          <Plus size={17} aria-hidden="true" />
          New conversation
        </button>
        {open.isError && (
          <p role="alert" className="px-2.5 text-sm text-accent">
            {open.error.message}
          </p>
        )}
      </div>
      <section aria-label="All conversations" tabIndex={0} className="min-h-0 flex-1 overflow-y-auto pb-4">
        <RailList onOpened={onOpened} />
      </section>
      <div className="border-t border-rule p-2">
        <Link
          to="/settings"
          onClick={onOpened}
          className="flex items-center gap-2.5 rounded-corner px-2.5 py-2 text-[0.9375rem] text-quiet hover:bg-wash hover:text-ink"
          activeProps={{ className: 'font-semibold !text-ink', 'aria-current': 'page' }}
        >
          <Settings2 size={17} strokeWidth={1.75} className="text-faint" aria-hidden="true" />
          Settings
        </Link>
      </div>
    </nav>
  )
}
