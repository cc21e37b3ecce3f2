/** The shape of a list while it comes. */
export function ListLoading({ label }: { label: string }) {
  return (
    <div role="status" aria-label={label} className="space-y-7 pt-4">
      {[58, 76, 44, 66].map((width) => (
        <div key={width} className="space-y-2.5">
          <div className="skeleton h-4" style={{ width: `${width}%` }} />
          <div className="skeleton h-3 w-1/4" />
        </div>
      ))}
    </div>
  )
}
