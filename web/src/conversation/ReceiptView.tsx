import type { Generation } from '../api/types'
import { counted } from '../ui/amounts'

type Receipt = NonNullable<Generation['receipt']>
type Section = Receipt['sections'][number]
type Text = Section['texts'][number]

const NAMES: Record<string, string> = {
  purpose: 'Instructions',
  personality: 'Personality',
  proposals: 'How proposals are written',
  campaign: 'Campaign',
  character: 'Character',
  persona: 'Persona',
  cast: 'Cast and places',
  game_session: 'Game session',
  constant_lore: 'Constant lore',
  summary: 'Summary',
  history: 'History',
  events: 'Events',
  recalled: 'Recalled',
  named: 'Named in the talk',
  author_note: 'Author’s note',
  after_history: 'Instructions after the history',
  message: 'Your message',
  prefill: 'Beginning of the reply',
}

interface Told {
  what: string
  why: string
}

/** Messages that went in or stayed out for one reason are one line. */
function linesOf(texts: Text[]): Told[] {
  const messages = new Map<string, number>()
  const others: Told[] = []
  for (const { source, message_id, why } of texts) {
    if (message_id) messages.set(why, (messages.get(why) ?? 0) + 1)
    else others.push({ what: source.replaceAll('_', ' '), why })
  }
  return [...[...messages].map(([why, count]) => ({ what: counted(count, 'message'), why })), ...others]
}

function SectionRow({ section, most }: { section: Section; most: number }) {
  const isIn = (text: Text) => text.included
  const included = linesOf(section.texts.filter(isIn))
  const left = linesOf(section.texts.filter((text) => !isIn(text)))
  const share = most === 0 ? 0 : Math.min(100, (100 * section.used) / most)
  return (
    <li className="py-1.5">
      <p className="flex flex-wrap justify-between gap-x-3">
        <span className="font-semibold">{NAMES[section.name] ?? section.name}</span>
        <span className="tabular-nums">
          {counted(section.used, 'token')}
          {section.share !== null && `, at most ${Math.round(section.share * 100)} %`}
        </span>
      </p>
      <div aria-hidden="true" className="my-1 h-1.5 rounded-corner bg-rule">
        <div className="h-full rounded-corner bg-accent" style={{ width: `${share}%` }} />
      </div>
      <ul>
        {included.map(({ what, why }) => (
          <li key={`${what} ${why}`}>
            {what} <span className="text-faint">({why})</span>
          </li>
        ))}
        {left.map(({ what, why }) => (
          <li key={`${what} ${why}`}>
            Not told: {what} <span className="text-faint">({why})</span>
          </li>
        ))}
      </ul>
    </li>
  )
}

/** What the AI was told for a reply: section by section, then the turns to the letter. */
export function ReceiptView({ receipt }: { receipt: Receipt }) {
  const room = receipt.window.room ?? 0
  const used = receipt.sections.reduce((sum, section) => sum + section.used, 0)
  return (
    <section aria-label="What the AI was told" className="mt-2 border-t border-rule pt-2">
      <p>
        About {counted(used, 'token')}
        {room > 0 && ` of ${counted(room, 'token')}`} were sent.
      </p>
      <ol className="max-w-md">
        {receipt.sections.map((section) => (
          <SectionRow key={section.name} section={section} most={Math.max(room, used)} />
        ))}
      </ol>
      <details className="mt-1">
        <summary className="cursor-pointer rounded-corner py-1 pointer-coarse:min-h-11">
          To the letter
        </summary>
        <ol>
          {receipt.turns.map(({ role, content }, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the turns of a receipt never change
            <li key={place} className="py-1">
              <span className="font-semibold">{role}</span>
              <p dir="auto" className="wrap-anywhere whitespace-pre-wrap">
                {content}
              </p>
            </li>
          ))}
        </ol>
      </details>
    </section>
  )
}
