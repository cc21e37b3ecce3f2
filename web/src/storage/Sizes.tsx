import { Link } from '@tanstack/react-router'
import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import type { ShelfSize, Storage } from '../api/types'
import { sized } from '../ui/amounts'

const link = 'text-accent underline decoration-1 underline-offset-3'

function Row({ words, size }: { words: ReactNode; size: ShelfSize }) {
  return (
    <tr className="border-t border-rule">
      <th scope="row" className="py-2 pr-3 text-left font-normal">
        {words}
      </th>
      <td className="py-2 pr-3 text-right">{size.conversations.toLocaleString('en')}</td>
      <td className="py-2 pr-3 text-right">{size.messages.toLocaleString('en')}</td>
      <td className="py-2 text-right">{sized(size.characters)}</td>
    </tr>
  )
}

/** What the database holds, by where it lies. */
export function Sizes({ storage }: { storage: Storage }) {
  const { database_bytes, free_bytes, warnings, active, archived, trash } = storage
  return (
    <section>
      <h2 className="font-tale text-title">What is kept</h2>
      <p className="mt-1.5 text-quiet">
        {database_bytes === null
          ? 'The database is on another machine, which knows its size.'
          : `The database takes ${sized(database_bytes)}${free_bytes === null ? '' : `; its disk has ${sized(free_bytes)} left`}.`}
      </p>
      {warnings.map(({ code, message }) => (
        <p
          key={code}
          className="mt-3 flex gap-2.5 border-l-2 border-accent bg-leaf py-2 pr-3 pl-3 text-label"
        >
          <TriangleAlert size={17} className="mt-0.5 shrink-0 text-accent" aria-hidden="true" />
          {message}
        </p>
      ))}
      <table className="mt-4 w-full border-b border-rule text-label">
        <thead className="text-note text-faint">
          <tr>
            <th scope="col" className="pb-1.5 text-left font-normal">
              Where
            </th>
            <th scope="col" className="pr-3 pb-1.5 text-right font-normal">
              <span className="sm:hidden">Talks</span>
              <span className="max-sm:hidden">Conversations</span>
            </th>
            <th scope="col" className="pr-3 pb-1.5 text-right font-normal">
              Messages
            </th>
            <th scope="col" className="pb-1.5 text-right font-normal">
              Text
            </th>
          </tr>
        </thead>
        <tbody>
          <Row words="At hand" size={active} />
          <Row
            words={
              <Link to="/archive" className={link}>
                Archive
              </Link>
            }
            size={archived}
          />
          <Row
            words={
              <Link to="/trash" className={link}>
                Trash
              </Link>
            }
            size={trash}
          />
        </tbody>
      </table>
    </section>
  )
}
