import type { LucideIcon } from 'lucide-react'
import type { ComponentProps } from 'react'

interface IconButtonProps extends ComponentProps<'button'> {
  icon: LucideIcon
  label: string
  size?: number
}

/** A control that is only a sign; its label is its name and its tooltip. */
export function IconButton({
  icon: Icon,
  label,
  size = 17,
  className = '',
  type = 'button',
  ...rest
}: IconButtonProps) {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={`inline-grid size-8 shrink-0 place-items-center rounded-corner text-faint hover:bg-wash hover:text-ink disabled:opacity-45 disabled:hover:bg-transparent disabled:hover:text-faint pointer-coarse:size-11 ${className}`}
      {...rest}
    >
      <Icon size={size} strokeWidth={1.75} aria-hidden="true" />
    </button>
  )
}
