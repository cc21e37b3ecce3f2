import { type ReactNode, useId } from 'react'
import { inOneLine } from '../writing/keepable'
import { mended } from '../writing/mending'

interface FieldProps {
  label: string
  value: string
  onChange: (value: string) => void
  onBlur?: (() => void) | undefined
  type?: 'text' | 'url' | 'password'
  placeholder?: string
  note?: string | undefined
  list?: string | undefined
  /** A control that belongs to the field. */
  children?: ReactNode
}

export function Field({
  label,
  value,
  onChange,
  onBlur,
  type = 'text',
  placeholder,
  note,
  list,
  children,
}: FieldProps) {
  const id = useId()
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-label text-quiet">
        {label}
      </label>
      <div className="flex gap-2">
        <input
          id={id}
          type={type}
          value={value}
          list={list}
          placeholder={placeholder}
          onChange={(event) => onChange(mended(event.target, inOneLine))}
          onBlur={onBlur}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          aria-describedby={note ? `${id}-note` : undefined}
          className="min-w-0 flex-1 rounded-corner border border-edge bg-raised px-2.5 py-1.5"
        />
        {children}
      </div>
      {note && (
        <p id={`${id}-note`} className="mt-1 text-note text-faint">
          {note}
        </p>
      )}
    </div>
  )
}
