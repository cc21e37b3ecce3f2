/** The elements of a message that are more than their name says. */
import type { ComponentType, ReactNode } from 'react'
import { safeAddress } from './sanitizing'

/** What a sanitized element may bear. */
export interface ElementProps {
  children?: ReactNode
  className?: string
  dir?: string
  href?: string
  title?: string
  src?: string
  alt?: string
  checked?: boolean
}

const outside = { target: '_blank', rel: 'noopener noreferrer nofollow' } as const

function OutsideLink({ href, title, children }: ElementProps) {
  const url = safeAddress(href)
  return url === null ? (
    <span>{children}</span>
  ) : (
    <a href={url.href} title={title} {...outside}>
      {children}
    </a>
  )
}

/** A picture from elsewhere would tell its host who reads what, so it is only named. */
function NamedPicture({ src, alt }: ElementProps) {
  const url = safeAddress(src)
  const words = alt ? `Picture: ${alt}` : 'Picture'
  return url === null || url.host === '' ? (
    <span>{words}</span>
  ) : (
    <a href={url.href} {...outside}>
      {words} ({url.host})
    </a>
  )
}

/** A long line scrolls inside its block, also by keyboard. */
function CodeBlock({ children, dir }: ElementProps) {
  return (
    <pre dir={dir} tabIndex={0}>
      {children}
    </pre>
  )
}

function ScrollingTable({ children, dir }: ElementProps) {
  return (
    <div className="table" tabIndex={0}>
      <table dir={dir}>{children}</table>
    </div>
  )
}

function TaskMark({ checked = false }: ElementProps) {
  return <input type="checkbox" checked={checked} readOnly disabled aria-label={checked ? 'Done' : 'Open'} />
}

export const components: Readonly<Record<string, ComponentType<ElementProps>>> = {
  a: OutsideLink,
  img: NamedPicture,
  pre: CodeBlock,
  table: ScrollingTable,
  input: TaskMark,
}
