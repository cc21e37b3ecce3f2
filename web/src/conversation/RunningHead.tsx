import type { ReactNode } from 'react'
import { OpenRailButton } from '../app/OpenRailButton'

interface RunningHeadProps {
  title: string
  /** What can be done with what stands under it. */
  tools?: ReactNode
  /** Its name as it is written anew. */
  naming?: ReactNode
}

/** The line over the text, as in a book. */
export function RunningHead({ title, tools, naming }: RunningHeadProps) {
  return (
    <header className="flex h-13 shrink-0 items-center gap-1 border-b border-rule px-2 pt-[env(safe-area-inset-top)]">
      <div className="w-10 sm:w-20">
        <OpenRailButton />
      </div>
      {naming ? (
        <div className="relative mx-auto min-w-0 max-w-md flex-1 font-tale text-label text-quiet">
          <h1 className="sr-only">{title}</h1>
          {naming}
        </div>
      ) : (
        <h1
          dir="auto"
          className="min-w-0 flex-1 truncate text-center font-tale text-label text-quiet italic"
          title={title}
        >
          {title || <span className="sr-only">Conversation</span>}
        </h1>
      )}
      <div className="flex min-w-10 justify-end sm:w-20">{tools}</div>
    </header>
  )
}
