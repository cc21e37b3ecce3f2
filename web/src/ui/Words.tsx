/** A sentence in which `backticks` set off what is to be typed. */
export function Words({ text }: { text: string }) {
  return text.split('`').map((part, index) =>
    index % 2 === 1 ? (
      <code key={part} className="font-code text-code">
        {part}
      </code>
    ) : (
      part
    ),
  )
}
