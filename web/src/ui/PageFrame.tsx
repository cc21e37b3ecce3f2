import type { ReactNode } from 'react'
import { OpenRailButton } from '../app/OpenRailButton'

interface PageFrameProps {
  title: string
  children: ReactNode
}

/** A page of its own beside the rail: the running head, and a column that scrolls under it. */
export function PageFrame({ title, children }: PageFrameProps) {
  return (
    <>
      <title>{`${title} · Talekeeper`}</title>
      <header className="flex h-13 shrink-0 items-center gap-1 border-b border-rule px-2 pt-[env(safe-area-inset-top)]">
        <div className="w-10">
          <OpenRailButton />
        </div>
        <h1 className="flex-1 text-center font-tale text-label text-quiet italic">{title}</h1>
        <div className="w-10" />
      </header>
      <section
        aria-label={title}
        tabIndex={0}
        className="min-h-0 flex-1 overflow-y-auto overscroll-contain -outline-offset-2"
      >
        <div className="column pt-7 pb-16">{children}</div>
      </section>
    </>
  )
}
