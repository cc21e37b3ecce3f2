import { OpenRailButton } from '../app/OpenRailButton'

/** The line over the text, as in a book. */
export function RunningHead({ title }: { title: string }) {
  return (
    <header className="flex h-13 shrink-0 items-center gap-1 border-b border-rule px-2 pt-[env(safe-area-inset-top)]">
      <div className="w-10">
        <OpenRailButton />
      </div>
      <h1 className="min-w-0 flex-1 truncate text-center font-tale text-[0.9375rem] text-quiet italic">
        {title || <span className="sr-only">Conversation</span>}
      </h1>
      <div className="w-10" />
    </header>
  )
}
