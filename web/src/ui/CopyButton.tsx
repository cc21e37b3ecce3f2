import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { copyText } from './copying'
import { IconButton } from './IconButton'

/** Says that it has copied until it is left or used again. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <IconButton
      icon={copied ? Check : Copy}
      label={copied ? 'Copied' : label}
      onClick={async () => setCopied(await copyText(text))}
      onBlur={() => setCopied(false)}
      onPointerLeave={() => setCopied(false)}
    />
  )
}
