import { Modal } from '../ui/Modal'
import { keycaps, SHORTCUTS, type Shortcut } from './shortcuts'

const all: readonly Shortcut[] = Object.values(SHORTCUTS)
const groups = [...new Set(all.map(({ group }) => group))]

/** All shortcuts, as the table has them. */
export function ShortcutSheet({ onClose }: { onClose: () => void }) {
  return (
    <Modal title="The keyboard" onClose={onClose}>
      <section
        aria-label="Shortcuts"
        tabIndex={0}
        className="overflow-y-auto px-5 pt-3 pb-5 -outline-offset-2"
      >
        {groups.map((group) => (
          <section key={group} aria-label={group}>
            <h3 className="small-caps mt-3 mb-1 text-faint">{group}</h3>
            <dl>
              {all
                .filter((each) => each.group === group)
                .map(({ keys, does }) => (
                  <div key={keys} className="flex items-baseline gap-4 border-t border-rule py-1.5">
                    <dt className="w-32 shrink-0 space-x-1">
                      {keycaps(keys).map((cap) => (
                        <kbd
                          key={cap}
                          className="inline-block min-w-6 rounded-corner border border-edge bg-raised px-1.5 text-center font-plain text-note"
                        >
                          {cap}
                        </kbd>
                      ))}
                    </dt>
                    <dd className="text-label text-quiet">{does}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </section>
    </Modal>
  )
}
