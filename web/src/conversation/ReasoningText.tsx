import { useReasoning } from './useReasoning'

/** What the model thought, as plain text: Markdown of a half-finished thought would flicker. */
export function ReasoningText({ messageId, position }: { messageId: string; position: number }) {
  const { data, error } = useReasoning(messageId, position)
  if (error !== null)
    return <p className="py-1 text-note">The thinking could not be loaded. {error.message}</p>
  return (
    <section
      tabIndex={0}
      aria-label="What the model thought"
      aria-busy={data?.isGrowing ?? true}
      className="mt-1 max-h-80 overflow-y-auto overscroll-contain border-l-2 border-rule pl-3 text-label text-quiet wrap-anywhere whitespace-pre-wrap"
    >
      {data === undefined ? 'Loading' : data.text}
    </section>
  )
}
