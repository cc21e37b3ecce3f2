import { Pilcrow } from './Pilcrow'

/** The name as it stands on a spine: a rubricator's pilcrow, then the word in italics. */
export function Wordmark({ large = false }: { large?: boolean }) {
  return (
    <span
      className={`inline-flex items-baseline font-tale italic ${large ? 'gap-3 text-display' : 'gap-1.5 text-heading'}`}
    >
      <Pilcrow className={large ? 'h-[0.8em]' : 'h-[0.78em]'} />
      <span className="tracking-[-0.01em]">Talekeeper</span>
    </span>
  )
}
