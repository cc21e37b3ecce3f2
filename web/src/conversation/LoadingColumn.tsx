import { RunningHead } from './RunningHead'

const turns = [
  { own: true, widths: [46] },
  { own: false, widths: [96, 100, 92, 38] },
  { own: true, widths: [72, 30] },
  { own: false, widths: [100, 94, 97, 90, 61] },
]

/** The shape of a conversation while it comes. */
export function LoadingColumn() {
  return (
    <>
      <RunningHead title="" />
      <div
        role="status"
        aria-label="Loading the conversation"
        className="grid min-h-0 flex-1 content-end overflow-hidden"
      >
        {/* In a box of its own: beside auto margins a grid would shrink the column to nothing. */}
        <div>
          <div className="column space-y-9 pb-10">
            {turns.map((turn) => (
              <div key={turn.widths.join()} className={turn.own ? 'pl-5' : ''}>
                {turn.widths.map((width) => (
                  <div key={width} className="skeleton mb-3 h-3.5" style={{ width: `${width}%` }} />
                ))}
              </div>
            ))}
          </div>
        </div>
      </div>
    </>
  )
}
