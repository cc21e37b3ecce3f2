import type { LucideIcon } from 'lucide-react'
import { DropdownMenu } from 'radix-ui'
import { useEffect, useRef } from 'react'
import type { OpenMenu } from './MenuButton'

export interface MenuEntry {
  words: string
  icon: LucideIcon
  onSelect: () => void
  isDisabled?: boolean
  /** A line over it: something else begins here. */
  begins?: boolean
}

interface MenuProps extends OpenMenu {
  label: string
  entries: readonly MenuEntry[]
}

/** What can be done with the thing beside it. An entry acts once the menu is gone and its button has the focus. */
export function Menu({ label, entries, anchor, byKeyboard, onClose }: MenuProps) {
  const content = useRef<HTMLDivElement>(null)
  const chosen = useRef<(() => void) | null>(null)
  const wentElsewhere = useRef(false)

  useEffect(() => {
    if (!byKeyboard) return
    const frame = requestAnimationFrame(() => {
      // Whoever is quick stands on an entry already.
      if (document.activeElement?.closest('[role="menuitem"]')) return
      content.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus()
    })
    return () => cancelAnimationFrame(frame)
  }, [byKeyboard])

  return (
    <DropdownMenu.Root open modal={false} onOpenChange={(open) => !open && onClose()}>
      <DropdownMenu.Trigger asChild>
        <span aria-hidden="true" className="pointer-events-none absolute inset-0" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal container={anchor.current?.closest<HTMLElement>('[role="dialog"], main, nav')}>
        <DropdownMenu.Content
          ref={content}
          align="end"
          sideOffset={4}
          collisionPadding={12}
          aria-label={label}
          aria-labelledby={undefined}
          loop
          onInteractOutside={(event) => {
            // The button closes what it opened.
            if (anchor.current?.contains(event.target as Node)) event.preventDefault()
            else wentElsewhere.current = true
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault()
            if (!wentElsewhere.current) anchor.current?.focus()
            chosen.current?.()
          }}
          className="z-30 max-h-(--radix-dropdown-menu-content-available-height) min-w-56 max-w-[92vw] overflow-y-auto rounded-corner border border-edge bg-raised py-1.5 text-label shadow-lg shadow-shade/20"
        >
          {entries.map(({ words, icon: Icon, onSelect, isDisabled = false, begins = false }) => (
            <div key={words} role="none">
              {begins && <DropdownMenu.Separator className="my-1.5 border-t border-rule" />}
              <DropdownMenu.Item
                disabled={isDisabled}
                onSelect={() => {
                  chosen.current = onSelect
                }}
                className="flex items-center gap-2.5 px-3.5 py-1.5 text-quiet outline-none data-disabled:opacity-50 data-highlighted:bg-wash data-highlighted:text-ink pointer-coarse:min-h-11"
              >
                <Icon size={16} strokeWidth={1.75} className="shrink-0 text-faint" aria-hidden="true" />
                {words}
              </DropdownMenu.Item>
            </div>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}
